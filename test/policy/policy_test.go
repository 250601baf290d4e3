// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package policy checks the rules of the whole source.
package policy

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// sources calls f for each file of the source, with its path from the top.
func sources(t *testing.T, f func(path string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", "build", "vendor", "testdata", "obj"}, entry.Name()) || strings.HasPrefix(name, "debian") {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f(name, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// heads has the text before a licence line, by kind of file.
var heads = map[string]string{
	".go": "// ", ".c": "/* ", ".h": "/* ", ".sh": "# ", ".mk": "# ", ".nix": "# ", ".8": `.\" `, ".ld": "/* ", ".map": "# ",
}

func TestEveryFileNamesItsLicence(t *testing.T) {
	sources(t, func(path string, text []byte) {
		comment, known := heads[filepath.Ext(path)]
		if filepath.Base(path) == "Makefile" || bytes.HasPrefix(text, []byte("#!")) {
			comment, known = "# ", true
		}
		if !known {
			return
		}
		lines := strings.SplitN(string(text), "\n", 4)
		if strings.HasPrefix(lines[0], "#!") {
			lines = lines[1:]
		}
		for i, want := range []string{
			comment + "SPDX-License-Identifier: LGPL-2.1-or-later",
			comment + "SPDX-FileCopyrightText: The pam_cockpit_cert authors",
		} {
			if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: line %d is not %q", path, i+1, want)
				return
			}
		}
	})
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	sources(t, func(path string, text []byte) {
		if filepath.Ext(path) != ".go" {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			return
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || file.Doc != nil
		// As go doc requires; a program has the name of its directory.
		start := "Package " + file.Name.Name + " "
		if file.Name.Name == "main" && dir != "module" {
			start = "Command " + filepath.Base(dir) + " "
		}
		if doc := file.Doc.Text(); doc != "" && !strings.HasPrefix(doc, start) {
			t.Errorf("%s: the package comment does not start with %q", path, start)
		}
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

func TestModulesAreWhatTheySay(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "replace") || strings.HasPrefix(line, "toolchain") {
			t.Errorf("go.mod: %s", line)
		}
		if version, ok := strings.CutPrefix(line, "go "); ok && version != "1.24" && version != "1.24.0" {
			t.Errorf("go.mod: go %s, but distributions have 1.24", version)
		}
	}
}

// TestTheModuleLinksLittle checks the packages that the worker links: each is
// initialized at each login, as root.
func TestTheModuleLinksLittle(t *testing.T) {
	command := exec.Command("go", "list", "-deps", "-tags", "netgo,osusergo", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./module")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	allowed := []string{
		"github.com/godbus/dbus/v5",
		"github.com/sirupsen/logrus",
		"golang.org/x/sys/unix",
		"pam_cockpit_cert/internal/clientcert",
		"pam_cockpit_cert/internal/infopipe",
		"pam_cockpit_cert/internal/login",
		"pam_cockpit_cert/module",
	}
	for _, path := range strings.Fields(string(out)) {
		if !slices.Contains(allowed, path) {
			t.Errorf("the module imports %s", path)
		}
	}
	command = exec.Command("go", "list", "-deps", "-tags", "netgo,osusergo", "./module")
	command.Dir = root
	out, err = command.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		if slices.Contains([]string{"crypto/x509", "crypto/tls", "net/http", "text/template", "regexp"}, path) {
			t.Errorf("the module imports %s, which costs time at every login", path)
		}
	}
}
