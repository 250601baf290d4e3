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

// Resolve returns where name, an absolute path in the root, really is, with
// every symbolic link followed. Where something on the way does not exist, the
// error is fs.ErrNotExist; the path is then where the last link led.
//
// The root may be an image, or a container's host. A link there means what it
// means to the programs of that root: an absolute one starts at that root, and
// none leads out of it. Linux has openat2(2) with RESOLVE_IN_ROOT for this, since
// 5.6: too late for the kernels of Enterprise Linux 8. A root whose owner moves
// things about meanwhile is not defended against; whoever runs us trusts the image.
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

// Exists reports whether name, with links followed, exists in the root. What
// cannot be looked at counts as there.
func Exists(root, name string) bool {
	_, err := Resolve(root, name)
	return !errors.Is(err, fs.ErrNotExist)
}
