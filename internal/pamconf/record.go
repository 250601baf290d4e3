// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"pam_cockpit_cert/internal/state"
)

// recorded returns the version of the service's file for which an install script
// added the rule.
func (s Service) recorded() (version string, ok bool, err error) {
	text, err := state.Read(s.Root, s.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("reading for what the rule was put in before: %w", err)
	}
	return strings.TrimSuffix(string(text), "\n"), true, nil
}

// record remembers the version. It is called after the rule was added: after a crash
// in between, the next run finds the rule and records the version then.
func (s Service) record(version string) error {
	if err := state.Write(s.Root, s.Name, []byte(version+"\n")); err != nil {
		return fmt.Errorf("recording that the rule was put in: %w", err)
	}
	return nil
}

func (s Service) forget() error {
	if err := state.Forget(s.Root, s.Name); err != nil {
		return fmt.Errorf("forgetting that the rule was put in: %w", err)
	}
	return nil
}
