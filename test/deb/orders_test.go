// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// update lets apt know what there is; it asks nobody from then on.
const update = "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; "

// TestCockpitComesLater: the trigger puts the rule in; cockpit-ws may go first.
func TestCockpitComesLater(t *testing.T) {
	s := newSystem(t, "trixie")
	s.Sh(t, update+"cd / && apt-get -y --no-install-recommends install ./package.deb")
	s.module(true, "without cockpit-ws")
	s.Sh(t, "apt-get -qq -y --no-install-recommends install cockpit-ws")
	after := s.read(service)
	before := strings.Replace(after, rule(t), "", 1)
	s.service(withRule(t, before), "cockpit-ws installed later")
	s.module(true, "cockpit-ws installed later")

	// Its file goes, and what was remembered of it.
	s.Run(t, "dpkg", "--purge", "cockpit-ws")
	s.module(true, "cockpit-ws purged")
	s.Sh(t, "apt-get -qq -y --no-install-recommends install cockpit-ws")
	s.service(after, "cockpit-ws purged and installed again")

	s.Run(t, "dpkg", "--purge", "cockpit-ws")
	s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
	s.Sh(t, "apt-get -qq -y --no-install-recommends install cockpit-ws")
	s.service(before, "cockpit-ws installed again, alone")
	s.module(false, "cockpit-ws installed again, alone")
	s.verified("cockpit-ws installed again, alone")
}

// TestCockpitIsOnlyUnpacked, as in the middle of an upgrade: the trigger comes
// before the service's file, and once more after it.
func TestCockpitIsOnlyUnpacked(t *testing.T) {
	s := newSystem(t, "trixie")
	s.Sh(t, update+`apt-get -qq -y --no-install-recommends install cockpit-ws
		cd /tmp && apt-get -qq download cockpit-ws 2>/dev/null`)
	before := s.read(service)
	s.Run(t, "dpkg", "--purge", "cockpit-ws")
	s.install("/package.deb")
	s.Sh(t, "dpkg --unpack /tmp/cockpit-ws_*.deb")
	s.Sh(t, "dpkg --configure --pending")
	s.service(withRule(t, before), "configured")

	// Removed, not purged: the file stays, and so does the decision about it.
	s.Run(t, "pam-cockpit-cert", "pam", "remove")
	s.Run(t, "dpkg", "--remove", "cockpit-ws")
	s.Sh(t, "dpkg --install /tmp/cockpit-ws_*.deb")
	s.service(before, "the rule taken out, cockpit-ws removed and installed again")
}

// TestTurnedOn: what `enable` did stays while the package does, and goes with it.
func TestTurnedOn(t *testing.T) {
	const config = "/etc/cockpit/cockpit.conf"
	s := newSystem(t, "trixie", "cockpit-ws")
	files := s.files()
	s.install("/package.deb")
	s.Run(t, "pam-cockpit-cert", "enable")
	on := s.read(config)
	if !strings.Contains(on, "cockpit-cert-session") {
		t.Fatalf("turned on, %s is\n%s", config, on)
	}
	s.install("/next.deb")
	s.reinstallCockpit()
	if now := s.read(config); now != on {
		t.Errorf("upgraded, %s is\n%s\nand was\n%s", config, now, on)
	}
	s.Run(t, "dpkg", "--remove", "libpam-cockpit-cert")
	s.gone(config, "/var/lib/pam_cockpit_cert")
	s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
	if left := difference(files, s.files()); left != "" {
		t.Errorf("turned on and purged, but:\n%s", left)
	}

	// What an administrator wrote stays, and only what breaks logins is told.
	s.install("/package.deb")
	const theirs = "# ours\n[WebService]\nClientCertAuthentication = yes\n"
	s.Write(t, config, 0o644, []byte(theirs))
	s.Run(t, "pam-cockpit-cert", "enable")
	if out := s.Run(t, "dpkg", "--remove", "libpam-cockpit-cert"); strings.Contains(out, "cockpit.conf") {
		t.Errorf("there is nothing to tell, but:\n%s", out)
	}
	if now := s.read(config); now != theirs {
		t.Errorf("removed, %s is\n%s", config, now)
	}
	s.install("/package.deb")
	const all = theirs + "[tls-cert]\nCommand = /usr/libexec/pam_cockpit_cert/cockpit-cert-session\n"
	s.Write(t, config, 0o644, []byte(all))
	if out := s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert"); !strings.Contains(out, "take Command out of [tls-cert] in "+config) {
		t.Errorf("nobody is told of a session command that is gone:\n%s", out)
	}
	if now := s.read(config); now != all {
		t.Errorf("purged, %s is\n%s", config, now)
	}
	s.Run(t, "rm", config)

	// Cockpit first: dpkg cannot remove its directory then.
	s.install("/package.deb")
	s.Run(t, "pam-cockpit-cert", "enable")
	s.Run(t, "dpkg", "--purge", "cockpit-ws")
	s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
	s.gone("/etc/cockpit", service, "/var/lib/pam_cockpit_cert")
}

// gone makes sure that there is nothing at the paths.
func (s system) gone(paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		if out, err := s.Try(s.t, "ls", "-ld", path); err == nil {
			s.t.Errorf("there still is %s", out)
		}
	}
}

// TestReleaseUpgrade: a whole Debian 12 becomes 13, and its cockpit-ws 287, whose
// stub dpkg knows under another name, and which has another service file, 337.
func TestReleaseUpgrade(t *testing.T) {
	s := newSystemOf(t, machine.Recipe{Suite: "bookworm", Packages: []string{"sssd-dbus", "cockpit-ws"}})
	s.install("/package.deb")
	old := s.read(service)

	upgrade := "sed -i 's/bookworm/trixie/g' /etc/apt/sources.list; " + update +
		"apt-get -y --no-install-recommends dist-upgrade </dev/null"
	// What README.Debian says: no question is asked, and the rule comes back.
	s.Run(t, "pam-cockpit-cert", "pam", "remove", "--forget")
	s.Sh(t, upgrade)
	if version := s.Run(t, "dpkg-query", "-W", "-f=${Version}", "cockpit-ws"); !strings.HasPrefix(version, "337") {
		t.Errorf("cockpit-ws is %s", version)
	}
	now := s.read(service)
	if now == old {
		t.Fatal("the service file did not change: this test tests nothing")
	}
	s.service(withRule(t, strings.Replace(now, rule(t), "", 1)), "upgraded")
	s.module(true, "upgraded")
	s.Run(t, command, "--help")

	s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
	s.module(false, "purged")
	s.verified("purged")
}

// TestTheStubGoesAndComesBack: cockpit-ws has none from 355 on.
func TestTheStubGoesAndComesBack(t *testing.T) {
	s := newSystemOf(t, machine.Recipe{Suite: "trixie", Backports: true, Packages: []string{"sssd-dbus", "cockpit-ws"}})
	s.install("/package.deb")
	after := s.read(service)
	s.Sh(t, update+"apt-get -qq -y --no-install-recommends -t trixie-backports install cockpit-ws")
	s.module(true, "upgraded to one without the stub")
	s.service(after, "upgraded to one without the stub")
	s.verified("upgraded to one without the stub", service)
	s.gone(module+".cockpit-ws", module+".cockpit-ws.usr-is-merged")

	s.Sh(t, "apt-get -qq -y --no-install-recommends --allow-downgrades install cockpit-ws/trixie")
	s.module(true, "downgraded to one with the stub")
	s.service(after, "downgraded to one with the stub")
	s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
	s.module(false, "purged")
	s.verified("purged")
}

// TestUnpreparedUpgrade is one where nobody read README.Debian.
func TestUnpreparedUpgrade(t *testing.T) {
	s := newSystemOf(t, machine.Recipe{Suite: "bookworm", Backports: true, Packages: []string{"sssd-dbus", "cockpit-ws"}})
	s.install("/package.deb")
	old := s.read(service)

	upgrade := update + "apt-get -y --no-install-recommends -t bookworm-backports "
	if out, err := s.Try(t, "sh", "-euc", upgrade+"install cockpit-ws </dev/null"); err == nil {
		t.Errorf("README.Debian says that dpkg stops:\n%s", out)
	}
	s.service(old, "dpkg has stopped")
	// Nothing is broken; either answer goes on.
	s.Sh(t, "export DEBIAN_FRONTEND=noninteractive; dpkg --force-confnew --configure -a")
	now := s.read(service)
	s.service(withRule(t, strings.Replace(now, rule(t), "", 1)), "the new file taken")
	if now == old {
		t.Error("the new file was not taken")
	}
	s.module(true, "upgraded")
	s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
	s.verified("purged")
	s.module(false, "purged")
}
