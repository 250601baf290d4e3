// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd_test

import (
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// TestTooOldToValidate runs if this machine's SSSD is too old, as on Debian 11;
// elsewhere, TestAnswersThatSSSDNeverGives has such an SSSD's answers.
func TestTooOldToValidate(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	if !sssd.Before(t, "2.6.1") {
		t.Skip("this SSSD can validate certificates")
	}
	s.AddUser("alice", 61001)
	s.Start(local(t))
	for name, test := range map[string]struct {
		login login
		expect
	}{
		"refused": {
			login:  login{certificate: ca.Issue("alice")},
			expect: expect{result: pamhost.ServiceErr, log: "too old to validate certificates .*; it has to be 2.6.1 or later"},
		},
		"with allow_unvalidated": {
			login:  login{certificate: ca.Issue("alice"), options: "allow_unvalidated"},
			expect: expect{result: pamhost.Success, user: "alice"},
		},
		"with allow_unvalidated, unmapped": {
			login:  login{certificate: ca.Issue("mallory"), options: "allow_unvalidated"},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD knows no user by this certificate"},
		},
		"with allow_unvalidated, a certificate that anybody made": {
			login:  login{certificate: pki.SelfSigned("alice"), options: "allow_unvalidated"},
			expect: expect{result: pamhost.Success, user: "alice"}, // which is why the option is dangerous
		},
	} {
		t.Run(name, func(t *testing.T) {
			report, syslog := test.login.run(t)
			test.check(t, report, syslog)
		})
	}
}
