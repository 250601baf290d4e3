// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// TestTheSpecOnEachDistribution has RPM read the spec as theirs does, by the
// macros that they define.
func TestTheSpecOnEachDistribution(t *testing.T) {
	packages(t, plain) // skips without RPM's tools
	const (
		inStandard  = "/usr/lib64/security/pam_cockpit_cert.so"
		inSubfolder = "/usr/lib64/security/pam_cockpit_cert/pam_cockpit_cert.so"
	)
	for name, c := range map[string]struct {
		macros  []string
		needs   []string // of the build
		cockpit string
		module  string
		selinux bool
	}{
		"Fedora 43": {[]string{"fedora 43", "dist .fc43", "golang_arches %{_arch}"},
			[]string{"golang >= 1.24", "go-rpm-macros", "pam-devel", "krb5-devel"}, "cockpit-ws >= 355", inStandard, true},
		"RHEL 8": {[]string{"rhel 8", "dist .el8"}, []string{"golang >= 1.24", "pam-devel", "krb5-devel"}, "cockpit-ws", inSubfolder, true},
		"RHEL 9": {[]string{"rhel 9", "dist .el9"}, []string{"golang >= 1.24", "go-rpm-macros", "pam-devel", "krb5-devel"},
			"cockpit-ws", inSubfolder, true},
		"RHEL 10": {[]string{"rhel 10", "dist .el10"}, []string{"golang >= 1.24", "go-rpm-macros", "pam-devel", "krb5-devel"},
			"cockpit-ws", inSubfolder, true},
		"RHEL 10 without the stub": {[]string{"rhel 10", "_without_subfolder --without-subfolder"},
			[]string{"golang >= 1.24"}, "cockpit-ws >= 355", inStandard, true},
		"Tumbleweed": {[]string{"suse_version 1699", "_pam_moduledir %{_libdir}/security"},
			[]string{"golang(API) >= 1.24", "pam-devel", "krb5-devel"}, "cockpit-ws >= 355", inStandard, true},
		"Leap 16": {[]string{"suse_version 1600", "_pam_moduledir %{_libdir}/security"},
			[]string{"golang(API) >= 1.24"}, "cockpit-ws", inSubfolder, true},
		"Leap 15": {[]string{"suse_version 1500", "_pam_moduledir /%{_lib}/security"},
			[]string{"golang(API) >= 1.24"}, "cockpit-ws", strings.TrimPrefix(inSubfolder, "/usr"), false},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(args ...string) []string {
				for _, macro := range c.macros {
					args = append(args, "--define", macro)
				}
				out := output(t, command(machine.Source(t), "rpmspec", append(args, "rpm/pam_cockpit_cert.spec")...))
				return strings.Split(strings.TrimSpace(out), "\n")
			}
			needs := ask("-q", "--buildrequires")
			for _, want := range append(c.needs, "gcc", "make") {
				if !slices.Contains(needs, want) {
					t.Errorf("the build asks for %v, which lacks %s", needs, want)
				}
			}
			if got := slices.Contains(needs, "/usr/bin/checkmodule"); got != c.selinux {
				t.Errorf("a policy module is built: %v", got)
			}
			requires := ask("-q", "--requires")
			for _, want := range []string{c.cockpit, "sssd-dbus"} {
				if !slices.Contains(requires, want) {
					t.Errorf("the package asks for %v, which lacks %s", requires, want)
				}
			}
			text := strings.Join(ask("-P"), "\n")
			if !strings.Contains(text, "%attr(0755,root,root) "+c.module+"\n") {
				t.Errorf("the module is not %s in\n%s", c.module, text)
			}
			rule := strings.TrimPrefix(strings.SplitAfter(c.module, "/security")[1], "/")
			if !strings.Contains(text, "scriptlet --module "+rule+" rpm posttrans") {
				t.Errorf("the rule does not name %s in\n%s", rule, text)
			}
		})
	}
}

// TestWhatIsLinkedIsNamed: in RPM's header, and by licences that come along.
func TestWhatIsLinkedIsNamed(t *testing.T) {
	file := binary(t, plain)
	provides := strings.Split(output(t, command("", "rpm", "-qp", "--provides", file)), "\n")
	provides = slices.DeleteFunc(provides, func(line string) bool { return !strings.HasPrefix(line, "bundled(") })

	tree := t.TempDir()
	output(t, command("", "sh", "-euc", `rpm2cpio "$1" | (cd "$2" && cpio --quiet -idm)`, "sh", file, tree))
	var want []string
	for _, path := range []string{stub, tool, "/usr/libexec/pam_cockpit_cert/cockpit-cert-session"} {
		info, err := buildinfo.ReadFile(filepath.Join(tree, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range info.Deps {
			want = append(want, "bundled(golang("+module.Path+")) = "+strings.TrimPrefix(module.Version, "v"))
			found, err := filepath.Glob(filepath.Join(tree, "usr/share/licenses/pam_cockpit_cert-*/licences", module.Path, "LICENSE*"))
			if err != nil || len(found) == 0 {
				t.Errorf("%s has %s, whose licence is not in the package (%v)", path, module.Path, err)
			}
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	slices.Sort(provides)
	if !slices.Equal(provides, want) || len(want) == 0 {
		t.Errorf("the package provides\n%s\nand has\n%s", strings.Join(provides, "\n"), strings.Join(want, "\n"))
	}
}

// TestTheREADMEsCommand: the pattern in README.md is of what is to be installed.
func TestTheREADMEsCommand(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(machine.Source(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "dnf install build/packages/")
	if !ok {
		t.Fatal("README.md has no command for dnf")
	}
	patterns, _, _ := strings.Cut("build/packages/"+after, "\n")
	patterns = strings.ReplaceAll(patterns, "build/packages/", "")
	found := strings.Fields(output(t, exec.Command("sh", "-euc", `cd "$1" && eval "ls -d $2"`, "sh", packages(t, plain), patterns)))
	for _, file := range found {
		if strings.HasSuffix(file, ".src.rpm") || strings.Contains(file, "debuginfo") {
			t.Errorf("%s matches %s", patterns, file)
		}
	}
	if len(found) != 2 {
		t.Errorf("%s matches %v", patterns, found)
	}
}
