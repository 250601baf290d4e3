// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"fmt"
	"slices"
)

// Auth returns the rules of the service's auth stack in libpam's order, with those of
// the files that it includes.
func (s Service) Auth() ([]Rule, error) {
	_, file, err := s.Parsed()
	if err != nil {
		return nil, err
	}
	return s.auth(file, s.Name, 0)
}

func (s Service) auth(file *File, name string, depth int) ([]Rule, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: files include each other too deep", name)
	}
	var rules []Rule
	for _, rule := range file.Rules() {
		switch {
		case rule.Type != typeAuth && rule.Type != typeInclude:
		case !rule.Includes():
			rules = append(rules, rule)
		default:
			included, name, err := s.Included(rule.Module)
			if err != nil {
				return nil, err
			}
			more, err := s.auth(included, name, depth+1)
			if err != nil {
				return nil, err
			}
			rules = slices.Concat(rules, more)
		}
	}
	return rules, nil
}

// AsksPassword reports whether the rule's module asks for a password.
func (r Rule) AsksPassword() bool { return r.kind() == kindPassword }

// Spares reports whether libpam leaves out rules after this one if it succeeds.
func (r Rule) Spares() bool {
	success := r.outcome("success")
	return success.action == "done" || success.jump > 0
}
