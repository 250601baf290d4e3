// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"regexp"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// Before certificates are turned on, nothing changes, although everything is installed.
func (l *lab) off(t *testing.T) {
	l.rule(t)
	l.configure(t, l.relaySection())
	l.login(t, "alice").expect(t, "401")
	l.login(t, "alice", "--user", "alice:"+password).expect(t, "200")
	l.login(t, "", "--user", "alice:wrong").expect(t, "401")
	l.Sh(t, "! test -e /run/cockpit/tls/clients || ! ls -A /run/cockpit/tls/clients | grep .")
}

// Alice logs in with nothing but a certificate.
func (l *lab) session(t *testing.T) {
	l.ended(t, "alice")
	l.Sh(t, "rm -rf /home/alice")
	journal := l.Journal(t)
	alice := l.enter(t, "alice")
	for command, want := range map[string]string{
		"id -un":           "alice\n",
		"echo $USER $HOME": "alice /home/alice\n", // which pam_mkhomedir made
		"stat -c %U ~":     "alice\n",
	} {
		if got := alice.do(t, command); got != want {
			t.Errorf("%s: %q in alice's session", command, got)
		}
	}
	if got, want := l.sessions(t, "alice"), "Service=cockpit Type=web\n"; got != want {
		t.Errorf("alice has the sessions %q, not %q", got, want)
	}
	if got := l.Sh(t, "pgrep -u alice -a -f '[c]ockpit[-.]bridge'"); got == "" {
		t.Error("the bridge is not alice's")
	}
	fingerprint := l.certificates["alice"].Fingerprint()
	l.logged(t, journal, `pam_cockpit_cert\(cockpit:auth\): certificate `+fingerprint+` is user alice's .*; rhost=\S*(127\.0\.0\.1|::1)\n`)
	alice.logout(t)
	l.ended(t, "alice")
	eventually(t, func() string {
		out, _ := l.Try(t, "sh", "-c", `pgrep -u alice -a -f 'cockpit'; pgrep -a cockpit-session; pgrep -a -f '[c]ockpit-cert-session localhost'`)
		return out
	})
}

// sessions returns the kinds of the user's sessions, without those of the user's
// systemd.
func (l *lab) sessions(t testing.TB, user string) string {
	t.Helper()
	return l.Sh(t, `
		for session in $(loginctl --no-legend list-sessions | awk -v user=`+user+` '$3 == user { print $1 }'); do
			loginctl show-session "$session" -p Service -p Type -p Class -p State | sort | tr '\n' ' '; echo
		done | grep -v -e Class=manager -e State=closing | sed 's/Class=[a-z]* //; s/State=[a-z]* //; s/ *$//'`)
}

// ended waits until the user has no session.
func (l *lab) ended(t testing.TB, user string) {
	t.Helper()
	eventually(t, func() string { return l.sessions(t, user) })
}

// logged fails the test unless a line soon appears in the journal that the regular
// expression matches.
func (l *lab) logged(t testing.TB, journal machine.Journal, expression string) {
	t.Helper()
	pattern := regexp.MustCompile(expression)
	var text string
	if !within(func() bool { text = journal.Since(t); return pattern.MatchString(text) }) {
		t.Errorf("the journal does not say %s:\n%s", expression, relevant(text))
	}
}

// containing returns the lines of a journal that contain a text.
func containing(journal, text string) string {
	var lines strings.Builder
	for line := range strings.Lines(journal) {
		if strings.Contains(line, text) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// relevant returns the lines of a journal that help to understand a failed test.
func relevant(journal string) string {
	var lines []string
	for line := range strings.Lines(journal) {
		if !strings.Contains(line, "systemd[") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// A user without a certificate uses a password, unless that is turned off.
func (l *lab) password(t *testing.T) {
	l.login(t, "", "--user", "alice:"+password).expect(t, "200")
	l.login(t, "", "--user", "alice:wrong").expect(t, "401")
	l.login(t, "").expect(t, "401")

	t.Cleanup(func() { l.on(t) })
	l.configure(t, onSection+l.relaySection()+"[Basic]\naction = none\n")
	l.login(t, "", "--user", "alice:"+password).expect(t, "401")
	l.enter(t, "alice").logout(t)
}

// gifts: other modules give groups and capabilities at setcred, and a login by
// password has them beside our rule as without it.
func (l *lab) gifts(t *testing.T) {
	before := l.Run(t, "cat", commonAuth)
	l.Write(t, commonAuth, 0o644, []byte(before+"auth optional pam_cap.so\nauth optional pam_group.so\n"))
	l.Write(t, "/etc/security/capability.conf", 0o644, []byte("cap_net_raw alice\n"))
	l.Write(t, "/etc/security/group.conf", 0o644, []byte("cockpit;*;alice;Al0000-2400;dialout\n"))
	t.Cleanup(func() {
		l.Write(t, commonAuth, 0o644, []byte(before))
		l.rule(t)
	})
	given := func() string {
		alice := l.enterWithPassword(t, "alice")
		defer alice.logout(t)
		return alice.do(t, "id -Gn; grep '^CapInh:' /proc/self/status")
	}
	with := given()
	l.Run(t, "pam-cockpit-cert", "pam", "remove")
	without := given()
	if with != without {
		t.Errorf("with our rule alice has\n%s\nwithout it\n%s", with, without)
	}
	if !regexp.MustCompile(`CapInh:\s+0*2000\n`).MatchString(without) {
		t.Errorf("pam_cap gives nothing:\n%s", without)
	}
}
