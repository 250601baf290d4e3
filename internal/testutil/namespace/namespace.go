// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package namespace runs a test binary in mount and process namespaces of its
// own, with an empty /run and a /dev/log that the tests read: real daemons at
// their real paths, while the machine's own files stay untouched, and nothing
// outlives the test, however it ends.
package namespace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// marker tells the process inside that it is inside.
const marker = "PAM_COCKPIT_CERT_PRIVATE"

// Main is for TestMain. It runs the package's tests inside the namespaces. Without
// root's privileges, or in a plain chroot, it runs them outside, where Need skips
// them. tmpfs names directories that are to be empty inside, besides /run.
func Main(m *testing.M, tmpfs ...string) {
	if os.Getenv(marker) == "" && (os.Geteuid() != 0 || !rootIsMount()) {
		os.Exit(m.Run())
	}
	os.Exit(Run(m.Run, tmpfs...))
}

// Run runs a function inside the namespaces, in a new process, and returns its exit
// status. A program has to call it first.
func Run(f func() int, tmpfs ...string) int {
	if os.Getenv(marker) == "" {
		return again()
	}
	if err := enter(append([]string{"/run"}, tmpfs...)); err != nil {
		fmt.Fprintln(os.Stderr, "private namespaces:", err)
		return 1
	}
	go endOnInterrupt()
	return f()
}

// rootIsMount tells whether "/" is a mount point. In a plain chroot it is not, and
// mounts in it would appear on the machine itself.
func rootIsMount() bool {
	var root unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, "/", 0, 0, &root)
	// Linux before 5.8 does not tell.
	return err != nil || root.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 || root.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// Need skips a test that must not run on the machine itself.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv(marker) == "" {
		t.Skip("needs root, and a root directory that is a mount point, for namespaces of its own")
	}
}

// again runs this very test binary in new namespaces, and returns its exit status.
func again() int {
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), marker+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "private namespaces:", err)
		return 1
	}
	go func() {
		<-stop
		// A terminal sends Ctrl-C to both processes; other programs signal only this one.
		_ = command.Process.Signal(syscall.SIGTERM)
		time.Sleep(grace)
		_ = command.Process.Kill()
	}()
	err := command.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "private namespaces:", err)
		return 1
	}
	return 0
}

func enter(tmpfs []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, dir := range tmpfs {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("mounting a tmpfs on %s: %w", dir, err)
		}
	}
	if err := devices(); err != nil {
		return fmt.Errorf("making a /dev of our own: %w", err)
	}
	if err := varLib(); err != nil {
		return fmt.Errorf("making a /var/lib of our own: %w", err)
	}
	// Temporary files are removed too, however the test ends.
	if err := os.Mkdir("/run/tmp", 0o755); err != nil {
		return err
	}
	if err := os.Chmod("/run/tmp", 0o777|os.ModeSticky); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", "/run/tmp")
}

// devices replaces /dev by a tmpfs that has the usual devices, so that the test can
// make /dev/log: glibc's syslog uses no other path.
func devices() error {
	const staging = "/run/dev"
	if err := os.Mkdir(staging, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", staging, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		var st unix.Stat_t
		if err := unix.Stat("/dev/"+name, &st); err != nil {
			return err
		}
		node := filepath.Join(staging, name)
		if err := unix.Mknod(node, st.Mode, int(st.Rdev)); err != nil {
			return err
		}
		if err := os.Chmod(node, os.FileMode(st.Mode)&os.ModePerm); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(target, filepath.Join(staging, name)); err != nil {
			return err
		}
	}
	for dir, mount := range map[string][]string{"shm": {"tmpfs", ""}, "pts": {"devpts", "newinstance,ptmxmode=0666,mode=0620"}} {
		if err := os.Mkdir(filepath.Join(staging, dir), 0o755); err != nil {
			return err
		}
		if err := unix.Mount(mount[0], filepath.Join(staging, dir), mount[0], 0, mount[1]); err != nil {
			return err
		}
	}
	return unix.Mount(staging, "/dev", "", unix.MS_MOVE, "")
}

// record is what pam-cockpit-cert remembers in /var/lib.
const record = "pam_cockpit_cert"

// varLib replaces /var/lib by a directory that has the machine's entries, but no record
// of what pam-cockpit-cert has changed. So it remembers nothing of a test on the machine,
// and nothing of another test that runs at the same time.
func varLib() error {
	const dir, staging = "/var/lib", "/run/lib"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(staging, 0o755); err != nil {
		return err
	}
	for _, entry := range entries {
		from, to := filepath.Join(dir, entry.Name()), filepath.Join(staging, entry.Name())
		switch {
		case entry.Name() == record:
			continue
		case entry.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(from)
			if err == nil {
				err = os.Symlink(target, to)
			}
			if err != nil {
				return err
			}
			continue
		case entry.IsDir():
			err = os.Mkdir(to, 0o755)
		default:
			err = os.WriteFile(to, nil, 0o644)
		}
		if err != nil {
			return err
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", from, err)
		}
	}
	return unix.Mount(staging, dir, "", unix.MS_BIND|unix.MS_REC, "")
}

// Copy mounts a copy over a directory until the test ends, so that the test may
// change it.
func Copy(t testing.TB, dir string) {
	t.Helper()
	Need(t)
	staging, err := os.MkdirTemp("/run", "copy")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", dir+"/.", staging).CombinedOutput(); err != nil {
		t.Fatalf("copying %s: %v: %s", dir, err, out)
	}
	if err := unix.Mount(staging, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mounting a copy of %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting the copy of %s: %v", dir, err)
		}
	})
}
