// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"fmt"
	"strings"
	"testing"
)

// Certificates that are refused, and what the journal tells the administrator about
// each.
func (l *lab) refused(t *testing.T) {
	for _, test := range []struct {
		name, certificate, subject string
		validated                  bool // only an SSSD that can validate refuses it
		says                       string
	}{
		{"another authority's", "stranger", "alice", true, `SSSD refuses the certificate .*Invalid certificate provided`},
		{"revoked", "revoked", "alice", true, `SSSD refuses the certificate .*Invalid certificate provided`},
		{"unmapped", "unmapped", "nobody here", false, `SSSD knows no user by this certificate`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.validated && !l.validates {
				t.Skip("this SSSD cannot validate certificates: see \"SSSD cannot validate\"")
			}
			journal := l.Journal(t)
			l.refuses(t, test.certificate, "The certificate does not belong to a user of this system.")
			l.logged(t, journal, `pam_cockpit_cert\(cockpit:auth\): certificate `+
				l.certificates[test.certificate].Fingerprint()+` \(subject "CN=`+test.subject+`,O=Lab"\): `+test.says+`.*; rhost=\S*(127\.0\.0\.1|::1)\n`)
			// A password does not help either.
			l.refuses(t, test.certificate, "The certificate does not belong to a user of this system.", "--user", "alice:"+password)
		})
	}
	if l.relay {
		l.accountRefused(t)
	}
	// Cockpit itself refuses this one in the TLS handshake.
	t.Run("expired", func(t *testing.T) {
		journal := l.Journal(t)
		if got := l.login(t, "expired"); got.status == "200" {
			t.Errorf("logged in: %+v", got)
		}
		l.logged(t, journal, `cockpit-tls.*[Cc]ertificate.*expired`)
	})
}

// accountRefused checks alice's certificate while her account may not log in, or only
// after an answer that a login by certificate cannot give.
func (l *lab) accountRefused(t *testing.T) {
	for _, test := range []struct{ name, refuse, allow, text, says string }{
		{"nologin, in words that Cockpit up to 361 does not escape",
			`printf 'Down for "repair"\n\tuntil noon.\n' >/etc/nologin`, "rm /etc/nologin",
			`until noon.`, `cockpit-cert-session: .*Down for ["']repair["'] until noon`}, // the quotes, if they are known
		{"the account has expired", "chage -E 1 alice", "chage -E -1 alice",
			"Your account has expired", `cockpit-cert-session: .*Your account has expired`},
		{"the password has expired, which asks for a new one", "chage -d 0 alice", "chage -d $(date +%F) alice",
			"This login needs an answer, which Cockpit does not take along with a certificate.",
			`cockpit-cert-session: access-denied: a PAM module asks .*\(login from .*(127\.0\.0\.1|::1)\)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l.Sh(t, test.refuse)
			t.Cleanup(func() { l.Sh(t, test.allow) })
			journal := l.Journal(t)
			l.refuses(t, "alice", test.text)
			l.logged(t, journal, test.says)
			if tried := containing(journal.Since(t), "authentication failure"); tried != "" {
				t.Errorf("a blank password was tried:\n%s", tried)
			}
		})
	}
	l.enter(t, "alice").logout(t)
}

// refusedOften checks that refused logins, of a certificate of nobody and of an account
// that is asked for a new password, leave nothing behind, and take nothing from the
// next person.
func (l *lab) refusedOften(t *testing.T) {
	const logins = 200
	l.Run(t, "chage", "-d", "0", "alice")
	t.Cleanup(func() { l.Sh(t, "chage -d $(date +%F) alice") })
	out := l.Run(t, "sh", "-euc", often, "sh", fmt.Sprint(logins/2), clients+"alice", clients+"unmapped")
	if refused := strings.Count(out, "403\n"); refused != logins { // among curl's progress
		t.Errorf("of %d logins, %d were refused:\n%s", logins, refused, out)
	}
	// Also no process that has ended, but for which nobody has waited.
	eventually(t, func() string {
		return l.Sh(t, "ps -e -o stat,pid,comm | grep -e cockpit-session -e cockpit-cert-se || :")
	})
	bob := l.enter(t, "bob")
	if got := bob.do(t, "id -un"); got != "bob\n" {
		t.Errorf("bob's session is that of %q", got)
	}
	bob.logout(t)
	l.ended(t, "bob")
}

// often logs in so often with each of the certificates, a few times at once, and prints
// the status of each answer.
const often = `
	times=$1; shift
	for certificate; do
		for i in $(seq $times); do echo 'url = https://localhost:9090/cockpit/login'; echo 'output = /dev/null'; done |
			curl --silent --show-error --insecure --cert $certificate.pem --key $certificate.key \
				--parallel --parallel-max 4 --write-out '%{http_code}\n' --config -
	done`

// SSSD before 2.6.1 cannot tell a valid certificate from an invalid one: unless the
// administrator allows that, every certificate is refused.
func (l *lab) cannotValidate(t *testing.T) {
	l.options = ""
	l.on(t)
	journal := l.Journal(t)
	l.login(t, "alice").expect(t, "401")
	l.logged(t, journal, `this SSSD is too old to validate certificates .*allow_unvalidated`)
}
