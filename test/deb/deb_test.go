// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

// Package deb tests the Debian package with the real dpkg, apt and cockpit-ws
// of each suite.
package deb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

func TestMain(m *testing.M) { machine.Main(m) }

const (
	service = "/etc/pam.d/cockpit"
	module  = "/lib/x86_64-linux-gnu/security/pam_cockpit_cert.so"
)

// system is one with the package at hand, and perhaps with Cockpit.
type system struct {
	*machine.Overlay
	t *testing.T
}

func newSystem(t *testing.T, suite string, packages ...string) system {
	t.Helper()
	s := newSystemOf(t, machine.Recipe{Suite: suite, Packages: append([]string{"sssd-dbus"}, packages...)})
	// As a package of the next version, with nothing else changed.
	s.Sh(t, `dpkg-deb -R /package.deb /next
		sed -i 's/^Version: .*/&+next/' /next/DEBIAN/control
		dpkg-deb -b /next /next.deb >/dev/null
		rm -r /next`)
	return s
}

// newSystemOf is newSystem to a recipe, without the next version.
func newSystemOf(t *testing.T, recipe machine.Recipe) system {
	t.Helper()
	file := debian.Package(t, debian.Build(t, recipe.Suite))
	s := system{machine.NewOverlay(t, machine.Root(t, recipe)), t}
	s.Copy(t, file, "/package.deb")
	return s
}

func (s system) install(file string) { s.t.Helper(); s.Run(s.t, "dpkg", "--install", file) }

func (s system) read(path string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, path))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// withRule is what a service file is to be once the rule is in.
func withRule(t *testing.T, before string) string {
	t.Helper()
	i := strings.Index(before, "\nauth") + 1
	if i == 0 {
		t.Fatalf("no auth rule in\n%s", before)
	}
	return before[:i] + rule(t) + before[i:]
}

// rule is the one line of pam.d/rule.
func rule(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(machine.Source(t), "pam.d/rule"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s system) service(want, when string) {
	s.t.Helper()
	if got := s.read(service); got != want {
		s.t.Errorf("%s, %s is\n%s\nwant\n%s", when, service, got, want)
	}
}

// isOurs tells whether libpam would load this package's module.
func (s system) isOurs() bool {
	s.t.Helper()
	out, _ := s.Try(s.t, "sh", "-c", "grep -c go_runtime_init "+module)
	return strings.TrimSpace(out) != "0" && !strings.Contains(out, "No such file")
}

func (s system) module(ours bool, when string) {
	s.t.Helper()
	if s.isOurs() != ours {
		s.t.Errorf("%s, this package's module is in %s: %v", when, module, !ours)
	}
}

// verified is what dpkg sees changed; only the service file may be.
func (s system) verified(when string, want ...string) {
	s.t.Helper()
	out, _ := s.Try(s.t, "dpkg", "--verify", "cockpit-ws", "libpam-cockpit-cert")
	var changed []string
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.Contains(line, "not installed") {
			changed = append(changed, fields[len(fields)-1])
		}
	}
	if fmt.Sprint(changed) != fmt.Sprint(want) {
		s.t.Errorf("%s, dpkg --verify sees %v changed, want %v\n%s", when, changed, want, out)
	}
}

// files has a line for each file of the system, but for what dpkg, apt and
// logs keep.
func (s system) files() string {
	s.t.Helper()
	return s.Sh(s.t, `find / -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /proc -o -path /sys \
		-o -path /run -o -path /dev -o -path /tmp -o -path /var/lib/apt -o -path /etc/ld.so.cache -o -path /package.deb -o -path /next.deb \) -prune \
		-o -printf '%p %y %m %u %l\n' | sort`)
}

// TestLifeBesideCockpit goes through all that happens to a package.
func TestLifeBesideCockpit(t *testing.T) {
	for _, suite := range []string{"bookworm", "trixie", "sid"} {
		t.Run(suite, func(t *testing.T) {
			s := newSystem(t, suite, "cockpit-ws")
			before, files := s.read(service), s.files()
			after := withRule(t, before)

			s.install("/package.deb")
			s.service(after, "installed")
			s.module(true, "installed")
			s.verified("installed", service)

			s.install("/package.deb")
			s.service(after, "installed again")
			s.module(true, "installed again")
			s.install("/next.deb")
			s.service(after, "upgraded")
			s.module(true, "upgraded")

			// cockpit-ws brings the same file again, and its own module.
			s.reinstallCockpit()
			s.module(true, "with cockpit-ws reinstalled")
			s.service(after, "with cockpit-ws reinstalled")

			s.Run(t, "pam-cockpit-cert", "pam", "remove")
			s.service(before, "the rule taken out")
			s.install("/package.deb")
			s.reinstallCockpit()
			s.service(before, "the rule taken out by the administrator, and everything upgraded")

			s.Run(t, "pam-cockpit-cert", "pam", "install")
			s.service(after, "the administrator put the rule in again")
			s.Run(t, "dpkg", "--remove", "libpam-cockpit-cert")
			s.service(before, "removed")
			s.module(false, "removed")
			s.verified("removed")

			s.install("/package.deb")
			s.service(after, "installed once more")
			s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
			s.service(before, "purged")
			s.verified("purged")
			if left := difference(files, s.files()); left != "" {
				t.Errorf("purged, but:\n%s", left)
			}
		})
	}
}

// reinstallCockpit unpacks cockpit-ws again, as an upgrade does.
func (s system) reinstallCockpit() {
	s.t.Helper()
	s.Sh(s.t, `apt-get -qq update
		cd /tmp && [ -e cockpit-ws_*.deb ] || apt-get -qq download cockpit-ws 2>/dev/null
		dpkg --install --force-confold cockpit-ws_*.deb </dev/null`)
}

// difference shows the lines that only one of the two has.
func difference(before, after string) string {
	var out strings.Builder
	for _, pair := range []struct{ sign, from, in string }{{"- ", before, after}, {"+ ", after, before}} {
		has := map[string]bool{}
		for _, line := range strings.Split(pair.in, "\n") {
			has[line] = true
		}
		for _, line := range strings.Split(pair.from, "\n") {
			if !has[line] {
				out.WriteString(pair.sign + line + "\n")
			}
		}
	}
	return out.String()
}

// TestDebian11: cockpit-ws 239 has the C module, and a rule of its own.
func TestDebian11(t *testing.T) {
	s := newSystem(t, "bullseye", "cockpit-ws")
	before, files := s.read(service), s.files()
	if !strings.Contains(before, "pam_cockpit_cert.so") {
		t.Fatalf("Cockpit 239 has no rule in\n%s", before)
	}
	s.install("/package.deb")
	s.service(before, "installed")
	s.module(true, "installed")
	s.verified("installed")
	s.install("/next.deb")
	s.service(before, "upgraded")
	s.Run(t, "dpkg", "--remove", "libpam-cockpit-cert")
	s.service(before, "removed")
	s.module(false, "removed")
	s.Run(t, "dpkg", "--purge", "libpam-cockpit-cert")
	s.verified("purged")
	if left := difference(files, s.files()); left != "" {
		t.Errorf("purged, but:\n%s", left)
	}
}
