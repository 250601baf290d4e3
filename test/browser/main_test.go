// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

// Package browser logs in to Cockpit with a real Chromium on booted machines,
// and looks at the pages as a person does. It keeps pictures of them in
// build/pictures.
package browser

import (
	"slices"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

func TestMain(m *testing.M) { machine.Main(m) }

// suite is a Debian release with a Cockpit of its own.
type suite struct {
	recipe machine.Recipe
	// domain is what SSSD's domain of local users needs.
	domain string
	// card: log in with a smart card, too. The browser's part is the same everywhere.
	card bool
}

// computer is the person's, and the machine with Cockpit 337 as well: one root
// less to make.
var computer = machine.Recipe{Suite: "trixie", Packages: append([]string{
	"chromium", "chromium-driver", "libnss3-tools", "fonts-dejavu-core",
	// A card's reader, the middleware, and a screen with a keyboard for its PIN.
	"vsmartcard-vpcd", "pcscd", "opensc-pkcs11", "xvfb", "xdotool",
}, packages...)}

var suites = []suite{
	// Cockpit 337.
	{recipe: computer, domain: proxy, card: true},
	// Cockpit 372, the newest. Its bridge crashes where a user has no session bus, which
	// Debian recommends.
	{recipe: machine.Recipe{Suite: "trixie", Backports: true, Packages: slices.Concat(
		debian.Cockpit("trixie", true), []string{"dbus-user-session"}, others)}, domain: proxy},
	// Cockpit 287.
	{recipe: machine.Recipe{Suite: "bookworm", Packages: packages}, domain: "id_provider = files\n"},
}

const proxy = "id_provider = proxy\nproxy_lib_name = files\nauth_provider = none\n"

// name tells the suites apart.
func (s suite) name() string {
	if s.recipe.Backports {
		return s.recipe.Suite + "-backports"
	}
	return s.recipe.Suite
}

// What machines have: Cockpit and SSSD as Debian has them, and sudo.
var packages = slices.Concat(debian.Cockpit("", false), others)

var others = []string{
	"systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev",
	"sssd-common", "sssd-dbus", "sssd-proxy", "libnss-sss",
	"openssl", "procps", "login", "passwd", "sudo",
}

func TestChromium(t *testing.T) {
	root := machine.Root(t, computer)
	for _, s := range suites {
		t.Run(s.name(), func(t *testing.T) {
			l := boot(t, s, root)
			t.Log(l.Run(t, "dpkg-query", "-W", "cockpit-ws", "sssd-dbus"))
			t.Run("a session", l.session)
			t.Run("no certificate", l.form)
			t.Run("refused", l.refused)
			if s.card {
				t.Run("a smart card", l.smartCard)
			}
			t.Run("the page", l.page)
		})
	}
}
