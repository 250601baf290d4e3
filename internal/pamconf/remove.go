// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"fmt"
	"path/filepath"

	"pam_cockpit_cert/internal/safefile"
)

// Remove removes the rule everywhere in the file. With forget, for an install script,
// it only removes a rule that is spelled as by Install, because Debian 11's cockpit-ws
// has its own rule; and it forgets that an install script has added the rule.
func (s Service) Remove(forget bool) (Report, error) {
	report := Report{Service: s.Name}
	if err := s.Check(); err != nil {
		return report, err
	}
	if err := s.remove(forget, &report); err != nil {
		return report, err
	}
	if forget {
		return report, errors.Join(s.removeFragment(), s.recordPolicy(PolicyAccount), s.forget())
	}
	return report, s.removeFragment()
}

func (s Service) remove(forget bool, report *Report) error {
	place, err := s.Find()
	var none *NoServiceError
	if errors.As(err, &none) || err == nil && place.Vendor != "" {
		report.Message = fmt.Sprintf("the rule is not in %s: nothing to do", filepath.Join(s.Root, ConfigDir, s.Name))
		return nil
	}
	if err != nil {
		return err
	}
	report.File = place.Path
	report.Changed, err = safefile.Edit(place.Path, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, nil
		}
		file, err := Parse(old)
		if err != nil {
			return nil, refused(place.Path, err)
		}
		edited, err := file.Remove(func(rule Rule) bool {
			return rule.Ours() && (!forget || file.Spelled(rule)) || s.accompanies(rule)
		})
		if err != nil {
			return nil, refused(place.Path, err)
		}
		gone := len(file.Ours()) - len(edited.Ours())
		switch {
		case gone == 0 && len(file.Ours()) > 0:
			report.Line = file.Ours()[0].Line
			report.Message = fmt.Sprintf("the rule in %s, line %d, is not ours: leaving it", place.Path, report.Line)
			return old, nil
		case gone == 0:
			report.Message = fmt.Sprintf("the rule is not in %s: nothing to do", place.Path)
			return old, nil
		case s.isInclude(edited.Bytes()):
			report.Message = fmt.Sprintf("removed %s, which had nothing but the rule and the vendor's file", place.Path)
			return nil, nil
		}
		report.Message = fmt.Sprintf("took the rule out of %s", place.Path)
		return edited.Bytes(), nil
	})
	return err
}
