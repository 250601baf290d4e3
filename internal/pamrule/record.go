// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamrule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pam_cockpit_cert/internal/safefile"
)

// recordDir has a file for each service that an install script put the rule
// into. It says for which version of the service's file that was.
const recordDir = "/var/lib/pam_cockpit_cert"

func (s System) recorded() (version string, ok bool, err error) {
	text, err := safefile.ReadFile(s.Root, filepath.Join(recordDir, s.Service), 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("reading for what the rule was put in before: %w", err)
	}
	return strings.TrimSuffix(string(text), "\n"), true, nil
}

// record is called after the rule is in its place: a crash between the two
// makes the next run find the rule and record it then.
func (s System) record(version string) error {
	dir, err := safefile.Resolve(s.Root, recordDir)
	if errors.Is(err, fs.ErrNotExist) {
		err = safefile.MakeDirectory(dir)
	}
	if err != nil {
		return fmt.Errorf("recording that the rule was put in: %w", err)
	}
	_, err = safefile.Edit(filepath.Join(dir, s.Service), func([]byte) ([]byte, error) {
		return []byte(version + "\n"), nil
	})
	return err
}

func (s System) forget() error {
	path, err := safefile.Resolve(s.Root, filepath.Join(recordDir, s.Service))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("forgetting that the rule was put in: %w", err)
	}
	// Others may have records there.
	_ = os.Remove(filepath.Dir(path))
	return nil
}
