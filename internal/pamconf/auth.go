// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

// Auth returns the rules of the service's auth stack in libpam's order, with those of
// the files that it includes.
func (s Service) Auth() ([]Rule, error) {
	place, file, err := s.Parsed()
	if err != nil {
		return nil, err
	}
	handlers, err := s.expand(file.Rules(), place.Path, 0, 0)
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for _, h := range handlers {
		if !h.rule.Includes() {
			rules = append(rules, h.rule)
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
