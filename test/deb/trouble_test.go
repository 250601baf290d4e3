// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"strings"
	"testing"
)

// TestNothingFailsApt: what an administrator can fix later is told, and the
// package is installed, upgraded and purged all the same.
func TestNothingFailsApt(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		told                string
	}{
		{name: "a broken service file", told: "is left alone",
			before: `printf 'auth [success=\n' >/etc/pam.d/cockpit`},
		{name: "no auth stack", told: "write an auth stack first",
			before: `printf 'account required pam_permit.so\n' >/etc/pam.d/cockpit`},
		{name: "a directory", told: "not a regular file",
			before: `rm /etc/pam.d/cockpit; mkdir /etc/pam.d/cockpit`},
		{name: "a link to nowhere", // the file does not exist
			before: `ln -sf /nowhere /etc/pam.d/cockpit`},
		{name: "a mounted file", told: "it is a mount point",
			before: `mount --bind /etc/pam.d/cockpit /etc/pam.d/cockpit`},
		{name: "an immutable file", told: "the file is immutable",
			before: `mount -t tmpfs tmpfs /etc/pam.d; printf 'auth required pam_permit.so\n' >/etc/pam.d/cockpit
				chattr +i /etc/pam.d/cockpit`,
			after: `chattr -i /etc/pam.d/cockpit`},
		{name: "a read-only /etc", told: "mounted read-only",
			before: `mount --bind /etc /etc; mount -o remount,bind,ro /etc`},
		{name: "a broken memory", told: "not a regular file",
			before: `mkdir -p /var/lib/pam_cockpit_cert/cockpit`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystem(t, "trixie", "cockpit-ws", "e2fsprogs", "pamtester")
			out := s.Sh(t, c.before+`
				export DEBIAN_FRONTEND=noninteractive
				dpkg --install /package.deb
				dpkg --install /next.deb
				dpkg --audit
				dpkg --purge libpam-cockpit-cert
				`+c.after)
			if !strings.Contains(out, c.told) {
				t.Errorf("nobody is told that %q:\n%s", c.told, out)
			}
			if c.told != "" && !strings.Contains(out, "when that is fixed, run: pam-cockpit-cert pam install") {
				t.Errorf("nobody is told what to do:\n%s", out)
			}
			s.module(false, "purged")
			s.gone("/var/lib/pam_cockpit_cert")
		})
	}
}

// TestAbortedRemoval: dpkg keeps the package when its prerm fails, and what that
// took out already is put back.
func TestAbortedRemoval(t *testing.T) {
	const config = "/etc/cockpit/cockpit.conf"
	s := newSystem(t, "trixie", "cockpit-ws")
	s.install("/package.deb")
	s.Run(t, "pam-cockpit-cert", "enable")
	with, on := s.read(service), s.read(config)

	s.Sh(t, `cd /var/lib/dpkg/info
		cp -p libpam-cockpit-cert.prerm /tmp/prerm
		echo 'exit 1' >>libpam-cockpit-cert.prerm
		! dpkg --remove libpam-cockpit-cert`)
	s.service(with, "a failed removal")
	if now := s.read(config); now != on {
		t.Errorf("a failed removal: %s is\n%s", config, now)
	}
	s.gone("/var/lib/pam_cockpit_cert/REMOVAL.json")
	s.module(true, "a failed removal")

	s.Sh(t, `cp -p /tmp/prerm /var/lib/dpkg/info/libpam-cockpit-cert.prerm
		dpkg --remove libpam-cockpit-cert`)
	s.service(strings.Replace(with, rule(t), "", 1), "removed")
	s.gone(config, "/var/lib/pam_cockpit_cert")
}

// TestRuleThatStaysHarmsNobody: where /etc could not be written, the rule names a
// module that is gone, and the login goes on by what follows.
func TestRuleThatStaysHarmsNobody(t *testing.T) {
	s := newSystem(t, "trixie", "cockpit-ws", "e2fsprogs", "pamtester")
	s.install("/package.deb")
	s.Sh(t, `mount --bind /etc /etc; mount -o remount,bind,ro /etc
		dpkg --purge libpam-cockpit-cert`)
	if !strings.Contains(s.read(service), rule(t)) {
		t.Fatal("the rule is gone: this test tests nothing")
	}
	s.module(false, "purged")
	s.Sh(t, `
		useradd -m alice
		echo alice:secret | chpasswd
		rm /usr/lib/*/security/pam_cockpit_cert.so
		# SELinux's rules need a kernel that has it.
		sed -i /pam_selinux/d `+service)
	for password, want := range map[string]string{"secret": "successfully authenticated", "wrong": "Authentication failure"} {
		out, _ := s.Try(t, "sh", "-c", "echo "+password+" | pamtester cockpit alice authenticate 2>&1")
		if !strings.Contains(out, want) {
			t.Errorf("the password %s: %s", password, out)
		}
	}
}
