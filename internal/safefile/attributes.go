// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyAttributes copies the old file's owner, extended attributes and mode to the
// new one, in this order: changing the owner clears set-user-ID bits, and an
// access control list is an extended attribute that contains the mode.
func copyAttributes(path string, old fs.FileInfo, to *os.File) error {
	stat, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no owner known", path)
	}
	now, err := to.Stat()
	if err != nil {
		return err
	}
	if got, ok := now.Sys().(*syscall.Stat_t); !ok || got.Uid != stat.Uid || got.Gid != stat.Gid {
		if err := to.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	if err := copyExtended(path, to); err != nil {
		return err
	}
	return to.Chmod(old.Mode())
}

func copyExtended(path string, to *os.File) error {
	names, err := list(func(buffer []byte) (int, error) { return unix.Llistxattr(path, buffer) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "listxattr", Path: path, Err: err}
	}
	for _, name := range names {
		if err := copyOne(path, name, to); err != nil {
			return &fs.PathError{Op: "copying the extended attribute " + name, Path: path, Err: err}
		}
	}
	// A new file inherits the directory's default access control list.
	has, err := list(func(buffer []byte) (int, error) { return unix.Flistxattr(int(to.Fd()), buffer) })
	if err != nil {
		return &fs.PathError{Op: "listxattr", Path: to.Name(), Err: err}
	}
	for _, name := range has {
		// A label of a security module cannot be removed.
		if slices.Contains(names, name) || strings.HasPrefix(name, "security.") {
			continue
		}
		if err := unix.Fremovexattr(int(to.Fd()), name); err != nil {
			return &fs.PathError{Op: "removing the extended attribute " + name, Path: to.Name(), Err: err}
		}
	}
	return nil
}

// list returns the names that one of the listxattr(2) calls has.
func list(get func(buffer []byte) (int, error)) ([]string, error) {
	names, err := sized(get)
	return slices.DeleteFunc(strings.Split(string(names), "\x00"), func(name string) bool { return name == "" }), err
}

func copyOne(path, name string, to *os.File) error {
	value, err := sized(func(buffer []byte) (int, error) { return unix.Lgetxattr(path, name, buffer) })
	if err != nil {
		return err
	}
	// A label that the new file already has is not set again: SELinux may forbid that.
	has, err := sized(func(buffer []byte) (int, error) { return unix.Fgetxattr(int(to.Fd()), name, buffer) })
	if err == nil && bytes.Equal(has, value) {
		return nil
	}
	return unix.Fsetxattr(int(to.Fd()), name, value, 0)
}

// sized asks for the size of a value and then for the value. It repeats both if
// the value has grown in between.
func sized(get func(buffer []byte) (int, error)) ([]byte, error) {
	for {
		size, err := get(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		buffer := make([]byte, size)
		size, err = get(buffer)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buffer[:size], nil
	}
}
