// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"path/filepath"
	"regexp"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

// TestAutopkgtest runs what Debian's infrastructure would: all tests of
// deb/tests, one of which needs a booted machine.
func TestAutopkgtest(t *testing.T) {
	const suite = "trixie"
	root := machine.Root(t, machine.Recipe{Suite: suite, Packages: []string{
		"autopkgtest", "dpkg-dev", "pamtester",
		"systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev",
		"cockpit-ws", "cockpit-bridge", "cockpit-system", "curl", "openssl",
		"sssd-common", "sssd-dbus", "sssd-proxy", "libnss-sss",
	}})
	o := machine.NewOverlay(t, root)
	o.Copy(t, debian.Package(t, debian.Build(t, suite)), "/package.deb")
	for _, file := range []string{"control", "changelog", "tests/control", "tests/module", "tests/login", "source/format"} {
		o.Copy(t, filepath.Join(machine.Source(t), "deb", file), "/source/debian/"+file)
	}
	m := machine.Boot(t, o)
	// What it runs on is this very machine; only we know that it is one.
	out, err := m.Try(t, "autopkgtest", "--no-built-binaries", "--ignore-restrictions=isolation-machine,breaks-testbed",
		"/package.deb", "/source/", "--", "null")
	for _, test := range []string{"module", "login"} {
		if !regexp.MustCompile(`(?m)^` + test + ` +PASS`).MatchString(out) {
			t.Errorf("%s did not pass", test)
		}
	}
	if err != nil || t.Failed() {
		t.Errorf("%v\n%s", err, out)
	}
}
