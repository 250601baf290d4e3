// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Overlay is a root that a test may change.
type Overlay struct {
	Dir string // where it is mounted, in the test binary's namespace
	Shell
}

// NewOverlay lays an empty folder over a root. What the test writes goes when
// it ends. Commands run without booting anything, with the network of this
// machine; processes that they leave behind are ended with them.
func NewOverlay(t testing.TB, root string) *Overlay {
	t.Helper()
	dir := mountOverlay(t, root)
	bind := func(from, to string) {
		t.Helper()
		target := filepath.Join(dir, to)
		if err := unix.Mount(from, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			t.Fatalf("mounting %s: %v", target, err)
		}
		t.Cleanup(func() { unmount(t, target) })
	}
	bind("/dev", "dev")
	// The names that this machine resolves.
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "etc/resolv.conf"), resolv, 0o644)
	}
	if err != nil {
		t.Logf("no DNS in the overlay: %v", err)
	}
	return &Overlay{Dir: dir, Shell: Shell{inside(dir)}}
}

// Bind shows a folder of this machine, read-only, at the same path. It has to
// be called before the overlay's first command.
func (o *Overlay) Bind(t testing.TB, dir string) {
	t.Helper()
	target := filepath.Join(o.Dir, dir)
	err := os.MkdirAll(target, 0o755)
	if err == nil {
		err = unix.Mount(dir, target, "", unix.MS_BIND, "")
	}
	if err == nil {
		t.Cleanup(func() { unmount(t, target) })
		err = unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	if err != nil {
		t.Fatalf("showing %s in the overlay: %v", dir, err)
	}
}

// mountOverlay returns the folder where root is mounted, writable.
func mountOverlay(t testing.TB, root string) string {
	t.Helper()
	// In the tmpfs that private.Main mounts there, which goes with the namespace.
	work, err := os.MkdirTemp("/run", "overlay-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(work); err != nil {
			t.Errorf("removing an overlay: %v", err)
		}
	})
	var dirs []any
	for _, name := range []string{"upper", "work", "root"} {
		dir := filepath.Join(work, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	dir := dirs[2].(string)
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", root, dirs[0], dirs[1])
	if err := unix.Mount("overlay", dir, "overlay", 0, options); err != nil {
		t.Fatalf("mounting an overlay of %s: %v", root, err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

func unmount(t testing.TB, dir string) {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Errorf("unmounting %s: %v", dir, err)
	}
}

// inside runs commands in the root, with a /proc, a /run and processes of
// their own: PID 1, and with it all others, ends when the command does.
func inside(dir string) func(context.Context, []string) *exec.Cmd {
	const script = `
		mount -t proc proc /proc
		mount -t sysfs -o ro sysfs /sys
		mount -t tmpfs -o mode=755 tmpfs /run
		mkdir -m 1777 /run/lock
		status=0; "$@" || status=$?
		exit $status`
	return func(ctx context.Context, args []string) *exec.Cmd {
		command := exec.CommandContext(ctx, "/bin/sh", append([]string{"-euc", script, "sh"}, args...)...)
		command.Dir = "/"
		command.Env = []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
		}
		command.SysProcAttr = &syscall.SysProcAttr{
			Chroot:     dir,
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			Pdeathsig:  syscall.SIGKILL,
		}
		return command
	}
}
