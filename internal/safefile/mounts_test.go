// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/namespace"
)

// mount mounts until the test ends.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	namespace.Need(t)
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Fatalf("mounting %s: %v", target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestAnImmutableFileIsLeftWithAHint(t *testing.T) {
	namespace.Need(t)
	for _, test := range []struct{ name, flag, want string }{
		{"the file", "i", "the file is immutable: chattr -i "}, {"the directory", "i", "the directory is immutable: chattr -i "},
		{"the file", "a", "the file is append-only: chattr -a "}, {"the directory", "a", "the directory is append-only: chattr -a "},
	} {
		t.Run(test.name+" "+test.flag, func(t *testing.T) {
			path := directory(t)
			target := path
			if test.name == "the directory" {
				target = filepath.Dir(path)
			}
			if out, err := exec.Command("chattr", "+"+test.flag, target).CombinedOutput(); err != nil {
				t.Skipf("needs chattr, and a file system that knows it: %v: %s", err, out)
			}
			defer exec.Command("chattr", "-"+test.flag, target).Run()
			refuses(t, path, test.want+target)
		})
	}
}

func TestAReadOnlyFileSystemIsLeftWithAHint(t *testing.T) {
	path := directory(t)
	top := filepath.Dir(filepath.Dir(path))
	mount(t, top, top, "", unix.MS_BIND, "")
	if err := unix.Mount("", top, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, "mounted read-only")
}

func TestAFullDiskChangesNothing(t *testing.T) {
	for _, size := range []string{"size=16k", "size=1m,nr_inodes=4", "size=1m,nr_inodes=5"} {
		t.Run(size, func(t *testing.T) {
			top := t.TempDir()
			mount(t, "tmpfs", top, "tmpfs", 0, size)
			path := filepath.Join(top, "pam.d/cockpit")
			if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, "old\n")
			_, err := Edit(path, to(strings.Repeat("x", 100_000)))
			if strings.HasPrefix(size, "size=1m,nr_inodes=5") {
				// Room for the directory and the file: it fits.
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "make room") {
				t.Errorf("got %v", err)
			}
			alone(t, path, "old\n")
		})
	}
}

// A file cannot be renamed into a directory that is a mount point from outside.
func TestAMountedDirectoryIsEditedFromWithin(t *testing.T) {
	path := directory(t)
	dir := filepath.Dir(path)
	for _, kind := range []string{"tmpfs", "bind"} {
		t.Run(kind, func(t *testing.T) {
			if kind == "tmpfs" {
				mount(t, "tmpfs", dir, "tmpfs", 0, "")
				write(t, path, "old\n")
			} else {
				mount(t, dir, dir, "", unix.MS_BIND, "")
			}
			if _, err := Edit(path, to("new\n")); err != nil {
				t.Fatal(err)
			}
			alone(t, path, "new\n")
		})
	}
}

func TestAWritableDirectoryInAReadOnlySystemIsEdited(t *testing.T) {
	path := directory(t)
	dir := filepath.Dir(path)
	top := filepath.Dir(dir)
	mount(t, top, top, "", unix.MS_BIND, "")
	mount(t, dir, dir, "", unix.MS_BIND, "")
	if err := unix.Mount("", top, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Edit(path, to("new\n")); err != nil {
		t.Fatal(err)
	}
	alone(t, path, "new\n")
}

func TestAMountedFileIsLeftWithAHint(t *testing.T) {
	path := directory(t)
	mount(t, path, path, "", unix.MS_BIND, "")
	refuses(t, path, "it is a mount point")
}
