// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// A build is a way to call rpmbuild. They differ in as little as they can.
type build struct {
	name    string
	options []string
}

var (
	plain = build{"plain", []string{"--nocheck"}}
	// The next release of the package: RPM takes ".upgrade" for newer than ".subfolder".
	next = build{"next", []string{"--nocheck", "--define", "dist .upgrade"}}
	// For a cockpit-ws that has a module of the same name.
	subfolder = build{"subfolder", []string{"--nocheck", "--with", "subfolder"}}
	// What `make rpm` makes: plain once more, later, tests and all.
	again = build{"again", nil}
	// plain once more, in another directory, with tests as Fedora's macros build them;
	// the source package has the spec with its macros expanded.
	elsewhere = build{"elsewhere", []string{"--define", "gotestflags -buildmode pie -compiler gc"}}
)

// built has what was built already, by name.
var built struct {
	sync.Mutex
	directories map[string]string
}

// packages builds the source and binary packages, once for all tests, and
// returns their directory.
func packages(t *testing.T, b build) string {
	t.Helper()
	for _, tool := range []string{"rpmbuild", "dnf", "createrepo_c", "rpmlint", "find-debuginfo", "checkmodule", "semodule_package"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: run make check-systems, which installs it", tool)
		}
	}
	built.Lock()
	defer built.Unlock()
	if directory := built.directories[b.name]; directory != "" {
		return directory
	}
	// In /run, which is ours and goes with us: tests outlive t.TempDir.
	directory, err := os.MkdirTemp("/run", "packages-")
	if err != nil {
		t.Fatal(err)
	}
	source := machine.Source(t)
	toolchain := strings.TrimSpace(output(t, command(source, "tools/find-go")))
	c := command(source, "rpm/build", append([]string{toolchain, directory}, b.options...)...)
	// The package's tests make namespaces with a /run of their own as well,
	// unless they think that they are in them.
	c.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PAM_COCKPIT_CERT_") }), "TMPDIR=/var/tmp")
	if b.name == elsewhere.name {
		c.Env = append(c.Env, "RPM_TOPDIR="+filepath.Join(directory, "another", "directory"))
	}
	output(t, c)
	if built.directories == nil {
		built.directories = map[string]string{}
	}
	built.directories[b.name] = directory
	return directory
}

// binary returns the one binary package, without the debugging information.
func binary(t *testing.T, b build) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(packages(t, b), "pam_cockpit_cert-[0-9]*.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if !strings.HasSuffix(file, ".src.rpm") {
			found = append(found, file)
		}
	}
	if len(found) != 1 {
		t.Fatalf("binary packages: %v", found)
	}
	return found[0]
}

func command(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = dir
	if !strings.Contains(name, "/") {
		return c
	}
	c.Path = filepath.Join(dir, name)
	return c
}

// output runs a command that must not fail.
func output(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		text := string(out)
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, text[max(0, len(text)-6000):])
	}
	return string(out)
}
