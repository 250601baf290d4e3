// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package install tests what packagers are promised of `make install`.
package install

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// command runs make, as anyone may.
func command(t *testing.T, arguments ...string) {
	t.Helper()
	arguments = append([]string{"-s", "-C", "../.."}, arguments...)
	c := exec.Command("make", arguments...)
	// Not those of the make that runs this test.
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=") })
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("make %v: %v\n%s", arguments, err, out)
	}
}

// installed returns the files below a folder, and which of them can be executed.
func installed(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		files[strings.TrimPrefix(path, dir)] = info.Mode()&0o111 != 0
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestVariables installs to places that no distribution has, after a build that
// was told of none of them.
func TestVariables(t *testing.T) {
	build, dir := "BUILD="+t.TempDir(), t.TempDir()
	command(t, build, "all")
	command(t, build, "install", "DESTDIR="+dir, "PREFIX=/opt/p", "PAMDIR=/opt/pam", "MANDIR=/opt/man", "LIBEXECDIR=/opt/libexec", "UNITDIR=/opt/units")
	files := installed(t, dir)
	for path, executable := range map[string]bool{
		"/opt/pam/pam_cockpit_cert.so":                                    false,
		"/opt/libexec/pam_cockpit_cert/cockpit-cert-session":              true,
		"/opt/libexec/pam_cockpit_cert/cockpit-cert-ticket":               true,
		"/opt/p/sbin/pam-cockpit-cert":                                    true,
		"/opt/units/system-cockpithttps.slice.d/10-pam_cockpit_cert.conf": false,
		"/opt/man/man8/pam_cockpit_cert.8":                                false,
		"/opt/p/share/doc/pam_cockpit_cert/README.md":                     false,
		"/opt/p/share/pam_cockpit_cert/pam.d/rule":                        false,
	} {
		if got, there := files[path]; !there || got != executable {
			t.Errorf("%s: there %v, executable %v, want %v; of %v", path, there, got, executable, files)
		}
	}
	for path := range files {
		if !strings.HasPrefix(path, "/opt/") {
			t.Errorf("%s is not where it was told", path)
		}
	}
	program, err := os.ReadFile(dir + "/opt/p/sbin/pam-cockpit-cert")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(program, []byte("/opt/libexec/pam_cockpit_cert/cockpit-cert-session")) {
		t.Error("pam-cockpit-cert enable would name another program than the one that is installed")
	}
}
