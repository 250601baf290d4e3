// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// explain adds what to do about an error, if more is known than errno.
func explain(path string, err error) error {
	hint := ""
	switch {
	case flag(path) != "":
		hint = "the file is " + flag(path) + " " + path
	case flag(filepath.Dir(path)) != "":
		hint = "the directory is " + flag(filepath.Dir(path)) + " " + filepath.Dir(path)
	case errors.Is(err, unix.EROFS):
		hint = "the file system is mounted read-only"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		hint = "nothing was changed: make room"
	case errors.Is(err, unix.EBUSY):
		hint = "it is a mount point: change the file that is mounted there"
	default:
		return fmt.Errorf("replacing %s: %w", path, err)
	}
	return fmt.Errorf("replacing %s: %w; %s", path, err, hint)
}

// FS_IMMUTABLE_FL and FS_APPEND_FL of linux/fs.h.
const flagImmutable, flagAppend = 0x10, 0x20

// flag describes chattr(1)'s flag i or a, if it is set, and how to clear it.
func flag(path string) string {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	switch {
	case err != nil:
		return ""
	case flags&flagImmutable != 0:
		return "immutable: chattr -i"
	case flags&flagAppend != 0:
		return "append-only: chattr -a"
	}
	return ""
}
