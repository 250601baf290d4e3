// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"testing"
)

// A part that a login needs fails: certificates are refused, passwords still work,
// and certificates work again once the part is back.
func (l *lab) outages(t *testing.T) {
	refuses := func(t *testing.T, says string) {
		t.Helper()
		journal := l.Journal(t)
		failures := l.failures(t)
		l.refuses(t, "alice", "To log in with a password")
		l.logged(t, journal, `pam_cockpit_cert\(cockpit:auth\): certificate .*`+says)
		if l.relay {
			// PAM ran no later module, which would have no user name.
			if asked := containing(journal.Since(t), "pam_unix(cockpit:auth)"); asked != "" || l.failures(t) != failures {
				t.Errorf("modules behind ours were asked in vain:\n%s", asked)
			}
		}
		l.login(t, "", "--user", "alice:"+password).expect(t, "200")
	}
	works := func(t *testing.T) {
		t.Helper()
		eventually(t, func() string {
			session, err := l.open(t, "-cert", clients+"alice.pem")
			if err != nil {
				return err.Error()
			}
			session.logout(t)
			return ""
		})
	}

	t.Run("SSSD's authorities are gone", func(t *testing.T) {
		if !l.validates {
			t.Skip("this SSSD does not read them")
		}
		l.Run(t, "mv", authorities, authorities+".away")
		refuses(t, `SSSD has no certificate authorities to check against`)
		l.Run(t, "mv", authorities+".away", authorities)
		works(t)
	})

	t.Run("SSSD is stopped", func(t *testing.T) {
		l.Run(t, "systemctl", "stop", "sssd.service")
		// D-Bus starts it.
		works(t)
		l.Run(t, "systemctl", "is-active", "sssd.service")
	})

	t.Run("SSSD is masked", func(t *testing.T) {
		l.Run(t, "systemctl", "mask", "--now", "sssd.service")
		refuses(t, `SSSD is not running and could not be started`)
		l.Run(t, "systemctl", "unmask", "sssd.service")
		l.Run(t, "systemctl", "start", "sssd.service")
		works(t)
	})

	t.Run("SSSD's D-Bus service is masked", func(t *testing.T) {
		l.Run(t, "systemctl", "mask", "--now", "sssd-ifp.service")
		refuses(t, `SSSD is not running and could not be started`)
		l.Run(t, "systemctl", "unmask", "sssd-ifp.service")
		works(t)
	})

	t.Run("D-Bus restarts in mid-session", func(t *testing.T) {
		session := l.enter(t, "alice")
		l.Run(t, "systemctl", "restart", "dbus.service")
		if got := session.do(t, "id -un"); got != "alice\n" {
			t.Errorf("the session is %q's", got)
		}
		// systemd 257 and later does not find the new bus by itself.
		l.Run(t, "systemctl", "restart", "systemd-logind.service")
		works(t)
		session.logout(t)
	})
}

// failures is the size of btmp(5), where cockpit-session records failed logins.
func (l *lab) failures(t testing.TB) string {
	t.Helper()
	return l.Sh(t, "stat -c %s /var/log/btmp 2>/dev/null || :")
}
