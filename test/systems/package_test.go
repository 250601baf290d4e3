// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"fmt"
	"strings"
	"testing"
)

// An administrator uses the package from its installation to its purge, without
// editing a file. It is the last test, because it removes the package.
func (l *lab) packaged(t *testing.T) {
	// Without sessions, nothing has the former configuration after the removal.
	l.restart(t)
	l.enter(t, "alice").logout(t)
	eventually(t, func() string {
		out, _ := l.Try(t, "sh", "-c", "pgrep -a cockpit-session; pgrep -a -f '[c]ockpit-cert-session localhost'")
		return out
	})
	l.Sh(t, `
		rm -f `+cockpitConf+`
		dpkg --purge libpam-cockpit-cert`)
	l.login(t, "alice", "--user", "alice:"+password).expect(t, "200")

	l.Sh(t, `
		apt-get -y --no-install-recommends install /root/package.deb
		pam-cockpit-cert enable`)
	l.restart(t)
	l.enter(t, "alice").logout(t)
	l.login(t, "", "--user", "alice:"+password).expect(t, "200")
	l.mayHave(t, 600)
	if out, err := l.Try(t, "pam-cockpit-cert", "status"); err != nil {
		t.Errorf("a login works, but status says:\n%s", out)
	}

	// Only the version differs.
	l.Sh(t, `
		dpkg-deb -R /root/package.deb /root/next
		sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control
		dpkg-deb -b /root/next /root/next.deb
		apt-get -y --no-install-recommends install /root/next.deb`)
	l.restart(t)
	l.enter(t, "alice").logout(t)

	l.purged(t)
	l.login(t, "", "--user", "alice:"+password).expect(t, "200")
	if out := l.Run(t, "dpkg", "--verify", "cockpit-ws"); strings.Contains(out, pamService) {
		t.Errorf("purged, but dpkg sees:\n%s", out)
	}
	l.mayHave(t, 200)
}

// purged purges the package while alice has a session, and the cockpit-ws for bob's
// certificate runs without one.
func (l *lab) purged(t *testing.T) {
	alice := l.enter(t, "alice")
	l.enter(t, "bob").logout(t)
	l.ended(t, "bob")
	out := l.Run(t, "apt-get", "-y", "purge", "libpam-cockpit-cert")

	// Cockpit itself now judges bob's certificate, or asks for his password. The text is
	// that about a command which cannot be started.
	if got := l.login(t, "bob", "--user", "bob:"+password); strings.Contains(got.body, "Authentication not available") {
		t.Errorf("purged, but bob's browser gets HTTP %s: %s", got.status, got.body)
	}
	if got := alice.do(t, "id -un"); got != "alice\n" {
		t.Errorf("alice's session is %q's", got)
	}
	const restart = "systemctl try-restart cockpit"
	if !strings.Contains(out, restart) {
		t.Errorf("the removal does not say how Cockpit is restarted:\n%s", out)
	}
	l.Sh(t, restart)
	alice.abandon()
	l.login(t, "alice", "--user", "alice:"+password).expect(t, "200")
	l.login(t, "alice").expect(t, "401")
}

// mayHave expects this limit of the tasks of Cockpit's web service and
// cockpit-cert-session together.
func (l *lab) mayHave(t *testing.T, tasks int) {
	t.Helper()
	if got := l.Run(t, "systemctl", "show", "--value", "--property=TasksMax", "system-cockpithttps.slice"); got != fmt.Sprintln(tasks) {
		t.Errorf("Cockpit's slice may have %s tasks, not %d", got, tasks)
	}
}
