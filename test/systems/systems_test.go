// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// On hybrid control groups, as this machine may have them. One machine after
// the other, beside the virtual ones.
func TestContainers(t *testing.T) {
	t.Parallel()
	for _, s := range []suite{bullseye, bookworm, trixie, backports} {
		t.Run(s.name, func(t *testing.T) {
			o := machine.NewOverlay(t, machine.Root(t, s.recipe()))
			l := prepare(t, s, o)
			l.Machine = machine.Boot(t, o)
			l.test(t)
			t.Run("a transfer", l.transfer)
			if l.relay { // Debian 11's SSSD needs an option that no package would set
				if l.name == trixie.name { // test/session does the same with a setuid cockpit-session
					t.Run("refused often", l.refusedOften)
				}
				t.Run("one user many times", l.oneUser)
				t.Run("the package", l.packaged)
			}
		})
	}
}

// On control groups of version 2 and no other, as systems have them today, and
// with the newest SSSD and systemd. Every instruction is emulated: what depends on
// none of them is left to the containers.
func TestVirtualMachine(t *testing.T) {
	t.Parallel()
	o := machine.NewOverlay(t, machine.Root(t, sid.recipe()))
	l := prepare(t, sid, o)
	l.Machine = machine.BootVM(t, o)
	l.logins, l.atOnce, l.timeout = 5, 3, unhurried
	if got := l.Run(t, "cat", "/proc/1/cgroup"); got != "0::/init.scope\n" {
		t.Errorf("these control groups are others: %q", got)
	}
	// They pass through a shell in the machine.
	if got := l.Run(t, "printf", "%s|", "it's", "$HOME", "", "a\nb c"); got != "it's|$HOME||a\nb c|" {
		t.Errorf("arguments arrive as %q", got)
	}
	t.Log(l.versions(t))
	t.Run("certificates off", l.off)
	l.on(t)
	t.Run("a session", l.session)
	t.Run("refused", l.refused)
	t.Run("a crowd", l.crowded)
	t.Run("the login process", l.process)
}

// versions says what is tested.
func (l *lab) versions(t *testing.T) string {
	return l.Run(t, "dpkg-query", "-W", "cockpit-ws", "sssd-dbus", "systemd")
}

// test is what has to hold on every machine.
func (l *lab) test(t *testing.T) {
	t.Log(l.versions(t))
	t.Log("systemd sees: ", l.Run(t, "cat", "/proc/1/cgroup"))
	t.Run("certificates off", l.off)
	l.on(t)
	t.Run("a session", l.session)
	t.Run("password", l.password)
	t.Run("other modules' gifts", l.gifts)
	t.Run("refused", l.refused)
	t.Run("policy", l.policy)
	t.Run("outages", l.outages)
	t.Run("a crowd", l.crowded)
	t.Run("the login process", l.process)
	if !l.relay {
		t.Run("Kerberos tickets", l.tickets)
		t.Run("SSSD cannot validate", l.cannotValidate)
	}
}
