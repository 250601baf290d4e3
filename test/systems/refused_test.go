// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import "testing"

// Certificates that log nobody in, and what the journal tells the
// administrator about each.
func (l *lab) refused(t *testing.T) {
	for _, test := range []struct {
		name, certificate string
		validated         bool // only an SSSD that validates refuses it
		says              string
	}{
		{"another authority's", "stranger", true, `SSSD refuses the certificate .*Invalid certificate provided`},
		{"revoked", "revoked", true, `SSSD refuses the certificate .*Invalid certificate provided`},
		{"unmapped", "unmapped", false, `SSSD knows no user by this certificate`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.validated && !l.validates {
				t.Skip("this SSSD cannot validate certificates: see \"SSSD cannot validate\"")
			}
			journal := l.Journal(t)
			l.login(t, test.certificate).expect(t, "401")
			l.logged(t, journal, `pam_cockpit_cert\(cockpit:auth\): certificate `+
				l.certificates[test.certificate].Fingerprint()+`: `+test.says)
			// A password does not make up for it.
			l.login(t, test.certificate, "--user", "alice:"+password).expect(t, "401")
		})
	}
	// Cockpit refuses this one in the TLS handshake.
	t.Run("expired", func(t *testing.T) {
		journal := l.Journal(t)
		if got := l.login(t, "expired"); got.status == "200" {
			t.Errorf("logged in: %+v", got)
		}
		l.logged(t, journal, `cockpit-tls.*[Cc]ertificate.*expired`)
	})
}

// SSSD before 2.6.1 cannot tell a good certificate from a bad one: unless the
// administrator says otherwise, nobody gets in.
func (l *lab) cannotValidate(t *testing.T) {
	l.options = ""
	l.on(t)
	journal := l.Journal(t)
	l.login(t, "alice").expect(t, "401")
	l.logged(t, journal, `this SSSD is too old to validate certificates .*allow_unvalidated`)
}
