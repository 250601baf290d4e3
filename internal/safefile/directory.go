// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// MakeDirectory makes a directory and its missing parents. Whatever the umask,
// every user may enter them, because the programs that read files in them do not
// run as root.
func MakeDirectory(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := MakeDirectory(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// Directories has directories that were made, for a record: what they are, by their names
// in the root. One that others make under the same name is another one.
type Directories map[string]string

// Make is MakeDirectory for the directory of a path in the root, and adds those that it
// makes.
func (d Directories) Make(root, path string) error {
	var missing []string
	for dir := filepath.Dir(path); identity(dir) == "" && len(dir) > len(root); dir = filepath.Dir(dir) {
		missing = append(missing, dir)
	}
	if len(missing) == 0 {
		return nil
	}
	if err := MakeDirectory(missing[0]); err != nil {
		return err
	}
	for _, dir := range missing {
		name, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		if is := identity(dir); is != "" {
			d[name] = is
		}
	}
	return nil
}

// Remove removes those that still are there, and empty. It returns their paths.
func (d Directories) Remove(root string) (removed []string) {
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(d))) { // before their parents
		path := filepath.Join(root, name)
		if identity(path) == d[name] && unix.Rmdir(path) == nil {
			removed = append(removed, path)
		}
	}
	return removed
}

// identity returns the inode of a directory and the time at which it was made, because
// file systems use inodes again; "" if there is none, or what is there is no directory.
func identity(path string) string {
	var stat unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_BTIME, &stat) != nil ||
		stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return ""
	}
	return fmt.Sprintf("%d %d.%09d", stat.Ino, stat.Btime.Sec, stat.Btime.Nsec)
}
