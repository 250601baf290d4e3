// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package diagnose finds out why a login with a certificate works or does not. The
// command status checks everything that a login by certificate needs, and check asks
// about one certificate exactly like a login. Both say how to fix what is broken.
// They also work if parts are missing, and for an ordinary user, who may not read
// all of it.
package diagnose

import (
	"context"
	"os"
	"time"
)

// System is the system that is checked.
type System struct {
	Root    string // usually "/"
	Service string // the PAM service, usually "cockpit"
	Command string // the installed cockpit-cert-session
	Bus     string // D-Bus address of the system bus
	Now     time.Time
}

// here reports whether the system is the running one, so that its kernel and its
// services can be asked.
func (s System) here() bool { return s.Root == "/" }

// call returns a fix that runs this program for this system.
func (s System) call(args ...string) *Fix {
	if s.here() {
		return run(append([]string{"pam-cockpit-cert"}, args...)...)
	}
	return run(append([]string{"pam-cockpit-cert", "--root", s.Root}, args...)...)
}

// Checks makes all checks, in the order in which a login needs these parts. Checks that
// do not apply to the system, or need a running one, are left out.
func (s System) Checks(ctx context.Context) []Check {
	release, cockpit := s.cockpit(ctx)
	checks := []Check{cockpit, s.certificates()}
	checks = append(checks, s.proxy()...)
	if release.NeedsCommand() {
		checks = append(checks, s.command(release))
	}
	module, rule := s.rule()
	checks = append(checks, rule)
	checks = append(checks, s.policy()...)
	checks = append(checks, s.module(ctx, release, module))
	answers := false
	if s.here() {
		var sssd Check
		if sssd, answers = s.sssd(ctx); answers {
			checks = append(checks, sssd, s.validation(ctx))
		} else {
			checks = append(checks, sssd)
		}
	}
	checks = append(checks, s.authorities(ctx, answers))
	checks = append(checks, s.revocation()...)
	if skipped := s.snippets(); skipped != nil {
		checks = append(checks, *skipped)
	}
	checks = append(checks, s.configuration(ctx)...)
	checks = append(checks, s.attributes()...)
	checks = append(checks, s.verificationOptions()...)
	if answers {
		checks = append(checks, s.rules(ctx)...)
		checks = append(checks, s.domains(ctx)...)
	}
	if s.here() {
		checks = append(checks, s.cgroups())
		if hiding := s.hiding(release); hiding != nil {
			checks = append(checks, *hiding)
		}
		checks = append(checks, s.selinux()...)
	}
	return append(checks, s.tickets()...)
}

// Unchecked returns the IDs of checks that only the running system allows.
func (s System) Unchecked() []string {
	if s.here() {
		return nil
	}
	return []string{idSSSD, idValidation, idCgroups, idSELinux}
}

// asRoot returns the advice for an ordinary user, who may not read a file.
func asRoot() *Fix {
	if os.Geteuid() == 0 {
		return nil
	}
	return advise("try again as root")
}
