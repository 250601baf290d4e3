// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/pamconf"
	"pam_cockpit_cert/internal/safefile"
)

// passwords are modules that ask for a password, which the certificate replaces, or
// that only control other modules. They are not reported.
var passwords = []string{
	"pam_unix.so", "pam_sss.so", "pam_krb5.so", "pam_ldap.so", "pam_winbind.so", "pam_systemd_home.so", "pam_fprintd.so",
	"pam_deny.so", "pam_permit.so", "pam_localuser.so", "pam_usertype.so", "pam_faildelay.so", "pam_debug.so",
	"pam_ssh_add.so", "pam_gnome_keyring.so", "pam_kwallet5.so",
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
		if name := path.Base(module); !slices.Contains(passwords, name) && !slices.Contains(names, name) && name != pamconf.Module {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	check := ok(idPolicy, "a login with a certificate skips "+strings.Join(names, ", ")).
		because("the account and session stacks apply, and the rest of the auth stack does not")
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
			if included := s.included(rule.Module); included != nil {
				modules = append(modules, s.authModules(included, 0, seen)...)
			}
		}
	}
	return modules
}

// included reads a file that a rule includes; nil if it cannot be read.
func (s System) included(name string) *pamconf.File {
	names := []string{name}
	if !filepath.IsAbs(name) {
		names = nil
		for _, dir := range append([]string{pamconf.ConfigDir}, pamconf.VendorDirs...) {
			names = append(names, filepath.Join(dir, name))
		}
	}
	for _, name := range names {
		text, err := safefile.ReadFile(s.Root, name, pamconf.MaxSize)
		if err != nil {
			continue
		}
		file, err := pamconf.Parse(text)
		if err != nil {
			return nil
		}
		return file
	}
	return nil
}
