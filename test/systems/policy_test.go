// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"strings"
	"testing"
)

// A login by certificate obeys the administrator's PAM policy, also the auth stack,
// which Cockpit's own mapping of certificates does not run.
func (l *lab) policy(t *testing.T) {
	service := l.Run(t, "cat", pamService)
	t.Cleanup(func() { l.Write(t, pamService, 0o644, []byte(service)) })
	l.Write(t, "/etc/security/lab.conf", 0o644, []byte("-:alice:ALL\n"))
	rule, rest, ok := cutRule(service)
	if !ok {
		t.Fatalf("no rule in %s:\n%s", pamService, service)
	}
	const access = "pam_access.so accessfile=/etc/security/lab.conf\n"

	// For rules between the module's and those for passwords.
	after := func(rules ...string) string {
		// On success PAM goes on with these rules; without a certificate it skips them.
		all := append(rules, "auth sufficient pam_permit.so\n")
		skip := string(rune('0' + len(all)))
		rule := strings.NewReplacer("success=done", "success=ok", "new_authtok_reqd=done", "new_authtok_reqd=ok",
			"default=ignore", "default="+skip).Replace(rule)
		return rule + strings.Join(all, "") + rest
	}
	for _, test := range []struct{ name, service, says string }{
		{"pam_access in the account stack", rule + "account required " + access + rest, `pam_access\(cockpit:account\): access denied for user .alice`},
		{"pam_access after the rule", after("auth requisite " + access), `pam_access\(cockpit:auth\): access denied for user .alice`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l.Write(t, pamService, 0o644, []byte(test.service))
			journal := l.Journal(t)
			l.turnsAway(t, "alice")
			l.logged(t, journal, test.says)
			l.enter(t, "bob").logout(t)
			l.login(t, "", "--user", "bob:"+password).expect(t, "200")
		})
	}

	t.Run("pam install --policy=auth", func(t *testing.T) {
		l.Write(t, pamService, 0o644, []byte(rule+"auth required "+access+rest))
		l.Run(t, "pam-cockpit-cert", "pam", "install", "--policy=auth")
		t.Cleanup(func() { l.Run(t, "pam-cockpit-cert", "pam", "install", "--policy=account") })
		journal := l.Journal(t)
		l.turnsAway(t, "alice")
		l.logged(t, journal, `pam_access\(cockpit:auth\): access denied for user .alice`)
		l.enter(t, "bob").logout(t)
		l.turnsAway(t, "", "--user", "alice:"+password)
		l.login(t, "", "--user", "bob:"+password).expect(t, "200")
	})

	t.Run("pam_faillock after the rule", func(t *testing.T) {
		const preauth = "auth requisite pam_faillock.so preauth deny=3\n"
		passwords := preauth + "auth [success=1 default=bad] pam_unix.so\n" +
			"auth [default=die] pam_faillock.so authfail deny=3\n"
		l.Write(t, pamService, 0o644, []byte(strings.Replace(after(preauth), rest, passwords+rest, 1)))
		t.Cleanup(func() { l.Run(t, "faillock", "--user", "alice", "--reset") })
		l.enter(t, "alice").logout(t)
		for range 3 {
			l.login(t, "", "--user", "alice:wrong").expect(t, "401")
		}
		l.login(t, "", "--user", "alice:"+password).expect(t, "401")
		l.turnsAway(t, "alice")
		l.enter(t, "bob").logout(t)

		l.Write(t, pamService, 0o644, []byte(rule+passwords+rest))
		l.Run(t, "pam-cockpit-cert", "pam", "install", "--policy=auth")
		t.Cleanup(func() { l.Run(t, "pam-cockpit-cert", "pam", "install", "--policy=account") })
		l.refuses(t, "alice", "This system refuses the login. The account is locked due to 3 failed logins.")
		l.enter(t, "bob").logout(t)
	})

	// Before the module's rule no user name is set, and pam_access refuses everyone.
	// (Without a user name, pam_faillock of Linux-PAM 1.4 refuses everyone, and later
	// versions accept everyone. The manual page says that the rule has to be first.)
	t.Run("pam_access before the rule", func(t *testing.T) {
		l.Write(t, pamService, 0o644, []byte("auth requisite "+access+service))
		for _, name := range []string{"alice", "bob"} {
			l.turnsAway(t, name)
		}
		l.enterWithPassword(t, "bob").logout(t)
	})
}

// turnsAway expects a certificate's login to be refused. Cockpit 248 and later
// answers 403 with a reason; earlier releases answer 401 and show the form.
func (l *lab) turnsAway(t *testing.T, name string, options ...string) {
	t.Helper()
	if got := l.login(t, name, options...); got.status != "401" && got.status != "403" {
		t.Errorf("%s: HTTP %s: %s", name, got.status, got.body)
	}
}

// cutRule returns the line of the module's rule, and the service without it.
func cutRule(service string) (rule, rest string, ok bool) {
	for line := range strings.Lines(service) {
		if strings.Contains(line, "pam_cockpit_cert.so") && !strings.HasPrefix(line, "#") {
			rule, ok = line, true
		} else {
			rest += line
		}
	}
	return rule, rest, ok
}
