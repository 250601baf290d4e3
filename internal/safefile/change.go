// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"bytes"

	"github.com/rogpeppe/go-internal/diff"
)

// Change is a file before and after an edit.
type Change struct {
	Path          string
	Before, After []byte // nil if the file does not exist
}

// Preview returns the change that Edit would make. It changes nothing, and does
// not wait for other processes that edit.
func Preview(path string, edit func(old []byte) ([]byte, error)) (Change, error) {
	old, _, err := read(path)
	if err != nil {
		return Change{}, err
	}
	text, err := edit(bytes.Clone(old))
	if err != nil {
		return Change{}, err
	}
	return Change{path, old, text}, nil
}

// Changes reports whether the two texts differ.
func (c Change) Changes() bool {
	return (c.Before == nil) != (c.After == nil) || !bytes.Equal(c.Before, c.After)
}

// Diff returns the change as diff -u prints it; empty if there is none.
func (c Change) Diff() string {
	from, to := c.Path, c.Path
	if c.Before == nil {
		from = "/dev/null"
	}
	if c.After == nil {
		to = "/dev/null"
	}
	text := diff.Diff(from, c.Before, to, c.After)
	_, text, _ = bytes.Cut(text, []byte("\n")) // without the line "diff FROM TO"
	return string(text)
}
