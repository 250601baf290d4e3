// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links path_resolution(7) follows.
const maxLinks = 40

// Resolve returns the path of name, an absolute path in the root, with all
// symbolic links followed. If a component does not exist, the error is
// fs.ErrNotExist, and the path is the target of the last link.
//
// The root may be an image, or the host of a container. A link there means what
// it means to the programs of that root: an absolute link starts at that root,
// and no link leads out of it. openat2(2) with RESOLVE_IN_ROOT does this since
// Linux 5.6, which is too late for Enterprise Linux 8. The owner of the root
// could swap a directory for a link meanwhile; the administrator who names the
// root has to trust that owner.
func Resolve(root, name string) (string, error) {
	resolved, rest := "/", strings.Split(name, "/")
	links := 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			resolved = filepath.Dir(resolved)
			continue
		}
		next := filepath.Join(resolved, part)
		info, err := os.Lstat(filepath.Join(root, next))
		if err != nil {
			return filepath.Join(append([]string{root, next}, rest...)...), err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			resolved = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: %w", filepath.Join(root, name), unix.ELOOP)
		}
		target, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			resolved = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return filepath.Join(root, resolved), nil
}

// ReadFile reads a regular file of the root, of limit bytes at the most.
func ReadFile(root, name string, limit int64) ([]byte, error) {
	path, err := Resolve(root, name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return os.ReadFile(path)
}

// Exists reports whether name, with links followed, exists in the root. A path
// that cannot be looked at counts as existing.
func Exists(root, name string) bool {
	_, err := Resolve(root, name)
	return !errors.Is(err, fs.ErrNotExist)
}
