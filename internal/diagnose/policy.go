// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/pamconf"
)

func (s System) pamService() pamconf.Service { return pamconf.Service{Root: s.Root, Name: s.Service} }

// policy reports the modules of the auth stack that run, or do not run, at a login with
// a certificate, if there are any to report.
func (s System) policy() []Check {
	_, file, err := s.pamService().Parsed()
	if err != nil || len(pamconf.InAuth(file)) == 0 {
		return nil // the check of the rule says so
	}
	state := s.pamService().PolicyState(file)
	again := s.call("pam", "install", "--policy=auth")
	switch {
	case errors.Is(state.Err, fs.ErrPermission):
		return []Check{unknown(idPolicy, state.Err.Error(), asRoot())}
	case errors.Is(state.Err, fs.ErrNotExist):
		return []Check{broken(idPolicy, filepath.Join(s.Root, s.pamService().Fragment())+", which the rule includes, does not exist: nobody can log in", again)}
	case errors.Is(state.Err, pamconf.ErrOutdated):
		return []Check{broken(idPolicy, "after a certificate run "+strings.Join(state.Runs, ", ")+", and "+state.Err.Error(), again)}
	case state.Err != nil:
		return []Check{broken(idPolicy, state.Err.Error(), again)}
	case state.Policy == pamconf.PolicyAuth:
		return []Check{ok(idPolicy, "after a certificate run "+strings.Join(state.Runs, ", ")).
			because("they are those of the auth stack that ask nothing; the account and session stacks apply as well")}
	}
	if check := s.passedBy(file); check != nil {
		return []Check{*check}
	}
	return nil
}

// passedBy reports the modules of the auth stack that do not run at a login with a
// certificate, because the rule ends the stack on success; nil if there are none to
// report.
func (s System) passedBy(file *pamconf.File) *Check {
	ours := pamconf.InAuth(file)
	if len(ours) == 0 || !slices.Contains(strings.Fields(ours[0].Control), "success=done") {
		return nil
	}
	var names []string
	for _, module := range s.authModules(file, ours[0].Line, map[string]bool{}) {
		if name := path.Base(module); pamconf.Missed(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	check := ok(idPolicy, "a login with a certificate skips "+strings.Join(names, ", ")).
		because("the account and session stacks apply, and the rest of the auth stack does not; pam install --policy=auth changes that")
	return &check
}

// authModules returns the modules of the auth stack after a line, also those of
// included files. It reads each file once, because libpam rejects files that include
// themselves.
func (s System) authModules(file *pamconf.File, after int, seen map[string]bool) []string {
	var modules []string
	for _, rule := range file.Rules() {
		switch {
		case rule.Line <= after || rule.Type != "auth" && rule.Type != "@include":
		case !rule.Includes():
			modules = append(modules, rule.Module)
		case !seen[rule.Module]:
			seen[rule.Module] = true
			if included, _, err := s.pamService().Included(rule.Module); err == nil {
				modules = append(modules, s.authModules(included, 0, seen)...)
			}
		}
	}
	return modules
}
