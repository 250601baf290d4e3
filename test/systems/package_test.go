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
	l.Sh(t, `
		pam-cockpit-cert pam remove
		rm -f `+cockpitConf+`
		dpkg --purge libpam-cockpit-cert
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

	l.Sh(t, "apt-get -y purge libpam-cockpit-cert")
	l.restart(t)
	l.login(t, "", "--user", "alice:"+password).expect(t, "200")
	l.login(t, "alice", "--user", "alice:"+password).expect(t, "200")
	l.login(t, "alice").expect(t, "401")
	if out := l.Run(t, "dpkg", "--verify", "cockpit-ws"); strings.Contains(out, pamService) {
		t.Errorf("purged, but dpkg sees:\n%s", out)
	}
	l.mayHave(t, 200)
}

// mayHave expects this limit of the tasks of Cockpit's web service and
// cockpit-cert-session together.
func (l *lab) mayHave(t *testing.T, tasks int) {
	t.Helper()
	if got := l.Run(t, "systemctl", "show", "--value", "--property=TasksMax", "system-cockpithttps.slice"); got != fmt.Sprintln(tasks) {
		t.Errorf("Cockpit's slice may have %s tasks, not %d", got, tasks)
	}
}
