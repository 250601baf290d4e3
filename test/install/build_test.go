// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBuiltAgain checks that a program is built again for other flags or another
// compiler, as for a cross build after a native one, and not for the same ones.
func TestBuiltAgain(t *testing.T) {
	build := t.TempDir()
	for file, other := range map[string]string{
		"pam_cockpit_cert.so":  "GO_LDFLAGS=-s",
		"cockpit-cert-session": "CC=cc -pipe",
		"cockpit-cert-ticket":  "CC=cc -pipe",
	} {
		built := func(arguments ...string) time.Time {
			t.Helper()
			command(t, append(arguments, "BUILD="+build, filepath.Join(build, file))...)
			info, err := os.Stat(filepath.Join(build, file))
			if err != nil {
				t.Fatal(err)
			}
			return info.ModTime()
		}
		first := built()
		if again := built(); again != first {
			t.Errorf("%s was built twice for the same", file)
		}
		if changed := built(other); changed == first {
			t.Errorf("%s was not built again with %s", file, other)
		}
	}
}

// TestTwoBuilds checks that two makes at the same time do not disturb each other.
func TestTwoBuilds(t *testing.T) {
	arguments := []string{"BUILD=" + t.TempDir()}
	for _, shell := range []string{"bash", "fish", "zsh"} {
		arguments = append(arguments, strings.TrimPrefix(arguments[0], "BUILD=")+"/completions/pam-cockpit-cert."+shell)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Add(1)
		go func() {
			defer both.Done()
			if out, err := invoke("../..", nil, arguments...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}()
	}
	both.Wait()
}

// TestOddVariables checks that a value with which make would do harm, or fail without
// saying why, is refused.
func TestOddVariables(t *testing.T) {
	for _, odd := range []string{
		"VERSION=1.0 beta", "VERSION=1'0", "VERSION=1$$0",
		"BUILD=", "BUILD=/", "BUILD=a b", "BUILD=..",
		"PREFIX=usr", "PREFIX=/opt/my files", "PAMDIR=", "LIBEXECDIR=~/libexec",
	} {
		name, _, _ := strings.Cut(odd, "=")
		if name == "PREFIX" {
			name = "PAMDIR"
		}
		// What make would do: it does nothing.
		out, err := invoke("../..", nil, "-n", odd, "clean")
		if err == nil || !strings.Contains(out, name+" is '") {
			t.Errorf("make %s: %v\n%s", odd, err, out)
		}
	}
	for _, c := range []struct{ environment, script, says string }{
		{"VERSION=9.9.9", "deb/build", "VERSION says 9.9.9"},
		{"VERSION=9.9.9", "rpm/build", "make its Version 9.9.9"},
		{"SOURCE_DATE_EPOCH=yesterday", "tools/source-archive", "SOURCE_DATE_EPOCH is 'yesterday'"},
	} {
		script := exec.Command(filepath.Join("../..", c.script), "go", t.TempDir(), t.TempDir())
		script.Env = append(os.Environ(), c.environment)
		if out, err := script.CombinedOutput(); err == nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%s %s: %v\n%s", c.environment, c.script, err, out)
		}
	}
	out, err := invoke("../..", nil, "-n", "VERSION=", "command")
	if err != nil || strings.Contains(out, "main.version= ") {
		t.Errorf("an empty VERSION is the program's: %v\n%s", err, out)
	}
}
