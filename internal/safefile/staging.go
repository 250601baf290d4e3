// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// prefix begins the name of the directory for the temporary file. The next edit
// in the same directory removes what a killed process left: because of the lock,
// no other process is using it.
const prefix = ".pam_cockpit_cert."

// stagings returns the directories for the temporary file, the best first. It is
// beside the file's own directory, which is on the same file system unless the
// file's directory is a mount point. Then it has to be below that; libpam does not
// take a directory there for a service.
//
// An unnamed file, O_TMPFILE, would not help: linkat(2) cannot replace a file,
// so that it, too, would need a name before the rename.
func stagings(path string) []string {
	dir := filepath.Dir(path)
	name := prefix + filepath.Base(dir)
	return []string{filepath.Join(filepath.Dir(dir), name), filepath.Join(dir, name)}
}

// sweep removes what a killed process left behind. openStaging reports the error
// if the directory is still there.
func sweep(path string) {
	for _, dir := range stagings(path) {
		var stat unix.Stat_t
		if unix.Lstat(dir, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR && int(stat.Uid) == unix.Geteuid() {
			_ = os.RemoveAll(dir)
		}
	}
}

// openStaging makes the directory.
func openStaging(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: it is in the way; look at it, and remove it", err)
	}
	return err
}
