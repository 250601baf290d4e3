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
	Dir string // its mount point, in the test binary's namespace
	Shell
	binds []string
}

// NewOverlay mounts an overlay on a root. Files that the test writes are removed
// when it ends. Commands run without booting, with this machine's network;
// processes that a command leaves behind end with it.
func NewOverlay(t testing.TB, root string) *Overlay {
	t.Helper()
	dir := mountOverlay(t, root)
	// The overlay resolves the same names as this machine, and localhost.
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "etc/resolv.conf"), resolv, 0o644)
	}
	if err != nil {
		t.Logf("no DNS in the overlay: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/hosts"), []byte("127.0.0.1 localhost\n::1 localhost\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := &Overlay{Dir: dir}
	o.command = o.inside
	return o
}

// Bind gives commands a directory of this machine, read-only, at the same path;
// a booted machine does not get it.
func (o *Overlay) Bind(t testing.TB, dir string) { o.binds = append(o.binds, dir, "ro") }

// BindWritable is Bind for a directory that they may write to.
func (o *Overlay) BindWritable(t testing.TB, dir string) { o.binds = append(o.binds, dir, "rw") }

// Build builds a program of the source, without cgo, and puts it at a path.
func (o *Overlay) Build(t testing.TB, pkg, path string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(path))
	command := exec.Command("go", "build", "-o", program, pkg)
	command.Dir = Source(t)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	o.Copy(t, program, path)
}

// mountOverlay returns the directory where root is mounted, writable.
func mountOverlay(t testing.TB, root string) string {
	t.Helper()
	// In the tmpfs that namespace.Main mounts there, which ends with the namespace.
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

// inside prepares a command in the root, in its own mount and PID namespaces: all
// of its processes end with the command.
func (o *Overlay) inside(ctx context.Context, args []string) *exec.Cmd {
	const script = `
		root=$1; shift
		mount --rbind /dev "$root/dev"
		mount -t proc proc "$root/proc"
		mount -t sysfs -o ro sysfs "$root/sys"
		mount -t tmpfs -o mode=755 tmpfs "$root/run"
		mkdir -m 1777 "$root/run/lock"
		while [ "$1" != -- ]; do
			mkdir -p "$root$1"
			mount --rbind "$1" "$root$1"
			mount -o "remount,bind,$2" "$root$1"
			shift 2
		done
		shift
		status=0; chroot "$root" "$@" || status=$?
		exit $status`
	before := append([]string{"-euc", script, "sh", o.Dir}, o.binds...)
	command := exec.CommandContext(ctx, "sh", append(append(before, "--"), args...)...)
	command.Env = environment
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return command
}
