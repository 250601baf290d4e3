// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package cockpit

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestThePackageManagerIsAsked(t *testing.T) {
	const dpkg = "var/lib/dpkg/status"
	for _, test := range []struct {
		name, path, text string
		want             Version
		err              error
	}{
		{"Debian", dpkg, "Package: cockpit\nStatus: install ok installed\nVersion: 1\n\nPackage: cockpit-ws\nStatus: install ok installed\nMulti-Arch: foreign\nVersion: 287.1-0+deb12u3\n", 287, nil},
		{"Debian, with an epoch", dpkg, "Package: cockpit-ws\nStatus: hold ok installed\nVersion: 2:337-1~bpo12+1\n", 337, nil},
		{"Debian, removed", dpkg, "Package: cockpit-ws\nStatus: deinstall ok config-files\nVersion: 287.1\n", 0, ErrNotInstalled},
		{"Arch", "var/lib/pacman/local/cockpit-349-1/desc", "", 349, nil},
		{"NixOS", "etc/systemd/system/cockpit.service", "[Service]\nExecStartPre=+/nix/store/00000000000000000000000000000000-cockpit-1/libexec/x\n" +
			"ExecStart=/nix/store/0c5sgxz1dr1fjlfmkcfkq4yvd2dqpb1j-cockpit-364/libexec/cockpit-tls\n", 364, nil},
		{"an administrator's own unit", "etc/systemd/system/cockpit.service", "[Service]\nExecStart=/opt/cockpit-364/libexec/cockpit-tls\n", 0, ErrNotInstalled},
		{"built from source", "usr/libexec/cockpit-ws", "", 0, nil},
		{"none", "etc/passwd", "", 0, ErrNotInstalled},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			path := filepath.Join(root, test.path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := InstalledVersion(context.Background(), root)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func TestWhatEachReleaseNeeds(t *testing.T) {
	for version, want := range map[Version][2]bool{
		0: {false, true}, 208: {true, false}, 209: {false, false}, 247: {false, false},
		248: {false, true}, 372: {false, true},
	} {
		if got := [2]bool{version.TooOld(), version.NeedsCommand()}; got != want {
			t.Errorf("%d: %v", version, got)
		}
	}
}

const spec = `Name: cockpit-ws
Version: 344
Release: 1
Summary: a stand-in
License: LGPL-2.1-or-later
BuildArch: noarch
%description
%files
`

func TestRPMIsAskedAndLeavesNothingBehind(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	specFile := filepath.Join(dir, "cockpit-ws.spec")
	if err := os.WriteFile(specFile, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("rpmbuild"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs rpmbuild, and root for rpm --root")
	}
	const database = "/usr/lib/sysimage/rpm"
	for _, args := range [][]string{
		{"rpmbuild", "-bb", "--define", "_topdir " + dir, specFile},
		{"rpm", "--root", root, "--dbpath", database, "-i", "--nodeps", filepath.Join(dir, "RPMS/noarch/cockpit-ws-344-1.noarch.rpm")},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", args, err, out)
		}
	}
	if got, err := InstalledVersion(context.Background(), root); got != 344 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}

	empty := t.TempDir()
	if err := os.MkdirAll(filepath.Join(empty, database), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := InstalledVersion(context.Background(), empty); got != 0 || !errors.Is(err, ErrNotInstalled) {
		t.Errorf("without a database: %d, %v", got, err)
	}
	if left, err := filepath.Glob(filepath.Join(empty, "*/*/*/*/*")); err != nil || len(left) > 0 {
		t.Errorf("asking made %s", left)
	}
}
