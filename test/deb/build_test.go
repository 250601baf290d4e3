// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

// TestLintian: each override in the package has its reason beside it. What is
// said of the files around the packages is not about them.
func TestLintian(t *testing.T) {
	pardoned := []string{
		// One that only another suite's lintian needs.
		"I: libpam-cockpit-cert: unused-override ",
		// As in the package itself; this one has no overrides.
		"E: libpam-cockpit-cert-dbgsym: bogus-mail-host Maintainer ",
		// Go's defaults are those of the oldest release that go.mod allows. They
		// differ in TLS, which no program here speaks, and in how processors are
		// counted. Only sid's lintian knows the tag: an override is an error to others.
		"P: libpam-cockpit-cert: binary-contains-insecure-defaultgodebug-settings ",
	}
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			o := debian.NewBuilder(t, suite)
			o.Copy(t, debian.Build(t, suite), "/packages")
			// Exit status 2 would tell of an unused override, whatever is suppressed.
			out := o.Sh(t, "lintian --allow-root --info --pedantic --display-info --fail-on none /packages/*.deb")
			// Older ones repeat a tag, without the package, where they explain it.
			for _, tag := range regexp.MustCompile(`(?m)^[EWIP]: \S+: .*`).FindAllString(out, -1) {
				if !slices.ContainsFunc(pardoned, func(start string) bool { return strings.HasPrefix(tag, start) }) {
					t.Errorf("lintian says:\n%s", out)
					break
				}
			}
		})
	}
}

// TestOwnToolchain builds with the compiler that a suite has itself, from Debian
// 13 on. Debian 13's is the oldest that go.mod allows: there the package's own
// tests run, too, as a builder of Debian's would run them.
func TestOwnToolchain(t *testing.T) {
	for suite, options := range map[string]string{"trixie": "parallel=2", "sid": "parallel=2 nocheck"} {
		t.Run(suite, func(t *testing.T) {
			root := machine.Root(t, machine.Recipe{Suite: suite, Packages: append([]string{"golang-go"}, debian.Tools...)})
			o := machine.NewOverlay(t, root)
			t.Log(o.Run(t, "/usr/bin/go", "version"))
			to := t.TempDir()
			debian.In(t, o, "/usr/bin/go", to, "DEB_BUILD_OPTIONS="+options)
			log, err := filepath.Glob(filepath.Join(to, "libpam-cockpit-cert-dbgsym_*.deb"))
			if err != nil || len(log) != 1 {
				t.Errorf("packages of debug symbols: %v, %v", log, err)
			}
			s := newSystem(t, suite, "cockpit-ws")
			s.Copy(t, debian.Package(t, to), "/own.deb")
			s.install("/own.deb")
			s.module(true, "installed")
		})
	}
}

// TestReproducible: another directory, another time, the same bytes.
func TestReproducible(t *testing.T) {
	first := debian.Build(t, "trixie")
	o := debian.NewBuilder(t, "trixie")
	// deb/build makes a directory with a random name; this build compiles all anew.
	second := t.TempDir()
	debian.In(t, o, debian.Go(t), second)
	for _, name := range []string{"libpam-cockpit-cert_*.deb", "libpam-cockpit-cert-dbgsym_*.deb"} {
		if a, b := sum(t, first, name), sum(t, second, name); a != b {
			t.Errorf("%s: built twice, %s and %s", name, a, b)
		}
	}
}

func sum(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s in %s: %v, %v", pattern, dir, found, err)
	}
	file, err := os.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}
