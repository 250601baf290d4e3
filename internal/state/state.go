// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package state remembers what pam-cockpit-cert changed on a system, so that a
// later run can undo it and does not overrule an administrator who undid it by
// hand. Each subject has a small file.
package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/safefile"
)

// Dir is the directory of the files, in hier(7)'s directory for the state of programs.
const Dir = "/var/lib/pam_cockpit_cert"

// Path returns the file of a subject, for messages.
func Path(root, subject string) string { return filepath.Join(root, Dir, subject) }

// Read returns the remembered text, or fs.ErrNotExist.
func Read(root, subject string) ([]byte, error) {
	return safefile.ReadFile(root, filepath.Join(Dir, subject), safefile.MaxSize)
}

// Write remembers a text, and replaces an earlier one.
func Write(root, subject string, text []byte) error {
	dir, err := directory(root)
	if err != nil {
		return err
	}
	_, err = safefile.Edit(filepath.Join(dir, subject), func([]byte) ([]byte, error) { return text, nil })
	return err
}

// WritePrivate is Write for a text that only root may read.
func WritePrivate(root, subject string, text []byte) error {
	dir, err := directory(root)
	if err != nil {
		return err
	}
	// An edit keeps the mode of an existing file.
	f, err := os.OpenFile(filepath.Join(dir, subject), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	return Write(root, subject, text)
}

// directory returns the directory of the files, which it makes if need be.
func directory(root string) (string, error) {
	dir, err := safefile.Resolve(root, Dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = safefile.MakeDirectory(dir)
	}
	return dir, err
}

// Forget removes the remembered text, if there is one.
func Forget(root, subject string) error {
	path, err := safefile.Resolve(root, filepath.Join(Dir, subject))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(path)) // fails while other subjects have files there
	return nil
}
