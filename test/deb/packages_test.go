// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// TestNothingListensAfterwards: `make check` installs servers for its tests; the
// machine starts none of them, now or when it boots, and is told how to be rid of
// them. A policy-rc.d that lets services start makes no difference.
func TestNothingListensAfterwards(t *testing.T) {
	o := machine.NewOverlay(t, machine.Root(t, machine.Recipe{Suite: "trixie", Packages: []string{"sssd-dbus", "cockpit-ws"}}))
	o.Copy(t, filepath.Join(machine.Source(t), "tools/install-packages"), "/install-packages")
	out := o.Sh(t, `printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d
		chmod +x /usr/sbin/policy-rc.d
		/install-packages slapd openssh-server 2>&1
		! pgrep -l 'slapd|sshd'`)
	if !strings.Contains(out, "apt-get purge slapd openssh-server") {
		t.Errorf("nothing says how to remove them again:\n%s", out)
	}
	for _, unit := range []string{"slapd.service", "ssh.service", "ssh.socket"} {
		if state, _ := o.Try(t, "systemctl", "is-enabled", unit); !strings.Contains(state, "disabled") {
			t.Errorf("%s is %s: it would listen after the next boot", unit, strings.TrimSpace(state))
		}
	}
	if links := o.Sh(t, "ls /etc/rc[2-5].d"); strings.Contains(links, "slapd") && !strings.Contains(links, "K01slapd") {
		t.Errorf("the init script starts at the next boot:\n%s", links)
	}
}

// TestAKillLeavesNothingThatListens: also the next boot after an installation that
// was killed when the packages' scripts had run.
func TestAKillLeavesNothingThatListens(t *testing.T) {
	o := machine.NewOverlay(t, machine.Root(t, machine.Recipe{Suite: "trixie", Packages: []string{"sssd-dbus", "cockpit-ws"}}))
	o.Copy(t, filepath.Join(machine.Source(t), "tools/install-packages"), "/install-packages")
	o.Write(t, "/etc/apt/apt.conf.d/killed", 0o644, []byte(`DPkg::Post-Invoke { "[ ! -e /usr/sbin/sshd ] || kill -9 $(cat /killed)"; };`+"\n"))
	out, err := o.Try(t, "sh", "-c", `echo $$ >/killed; exec /install-packages openssh-server`)
	if err == nil {
		t.Fatalf("the installation was not killed:\n%s", out)
	}
	o.Run(t, "dpkg", "--configure", "--pending")
	if state, _ := o.Try(t, "systemctl", "is-enabled", "ssh.service"); !strings.Contains(state, "disabled") {
		t.Errorf("ssh.service is %s: it would listen after the next boot", strings.TrimSpace(state))
	}
	if !strings.Contains(out, "apt-get purge openssh-server") {
		t.Errorf("nothing says how to remove it again:\n%s", out)
	}
}
