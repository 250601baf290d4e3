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

// prefix begins the name of the directory that holds a temporary file. What a
// killed process leaves in it goes the next time that a file of the same
// directory is edited: the lock says that nobody else is using it.
const prefix = ".pam_cockpit_cert."

// stagings returns where the temporary file may be, best first: in a directory
// beside the file's own, which is on the same file system unless somebody
// mounts just that. Then it has to be below it; a directory there is no file that
// libpam could take for a service.
//
// An unnamed file, O_TMPFILE, would not do: linkat(2) cannot replace a file,
// so that it, too, would get a name first and be renamed then.
func stagings(path string) []string {
	dir := filepath.Dir(path)
	name := prefix + filepath.Base(dir)
	return []string{filepath.Join(filepath.Dir(dir), name), filepath.Join(dir, name)}
}

// sweep removes what a killed process left behind. Trouble with that is
// reported when the directory is needed.
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
