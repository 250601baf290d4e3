// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pam_cockpit_cert/internal/safefile"
)

func TestMain(m *testing.M) {
	if os.Getenv(faultMarker) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"pam-cockpit-cert": main})
}

// Each script in testdata/script shows one behaviour, and can be read as documentation.
func TestScript(t *testing.T) {
	services, err := filepath.Abs("../../internal/pamconf/testdata/services")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SERVICES", services)
			return os.MkdirAll(filepath.Join(env.WorkDir, "root/etc"), 0o755)
		},
		Condition: func(condition string) (bool, error) {
			if condition == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %s", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"only":    only,
			"says":    says,
			"package": installPackage,
			"journal": makeJournal,
		},
	})
}

// only FOLDER NAME...: the directory has these entries and no others.
func only(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: only directory name...")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if fmt.Sprint(names) != fmt.Sprint(args[1:]) {
		ts.Fatalf("%s has %v, not %v", args[0], names, args[1:])
	}
}

// wrapped matches the break of a long line of a status.
var wrapped = regexp.MustCompile(`\n {8}([^ $-]|-[^>])`)

// says PATTERN: standard output matches, wherever its lines are broken.
func says(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: says pattern")
	}
	text := wrapped.ReplaceAllString(ts.ReadFile("stdout"), " $1")
	if !regexp.MustCompile("(?m)" + args[0]).MatchString(text) {
		ts.Fatalf("nothing matches %s in\n%s", args[0], text)
	}
}

// installPackage: the root has the files of the package, and a PAM service.
func installPackage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: package")
	}
	ts.Check(placePackage(ts.MkAbs("root")))
}

// placePackage adds to a root the files without which certificates are not turned on:
// a module made by Go, the session command, and a PAM service if there is none.
func placePackage(root string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	module := filepath.Join(root, "usr/lib64/security/pam_cockpit_cert.so")
	command := filepath.Join(root, sessionCommand)
	service := filepath.Join(root, "etc/pam.d/cockpit")
	for _, path := range []string{module, command, service} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	}
	if err := os.Link(self, module); err != nil && !errors.Is(err, fs.ErrExist) {
		program, err := os.ReadFile(self)
		if err == nil {
			err = os.WriteFile(module, program, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if err := os.WriteFile(command, []byte("#!/bin/sh\n"), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(service); err == nil || safefile.Exists(root, "/usr/lib/pam.d/cockpit") {
		return nil
	}
	text, err := os.ReadFile("../../internal/pamconf/testdata/services/fedora")
	if err != nil {
		return err
	}
	return os.WriteFile(service, text, 0o644)
}
