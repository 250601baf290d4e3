// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package policy

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tiers has every package of the product, from the bottom to the top. A package
// imports those of tiers below its own, and no other.
var tiers = [][]string{
	{"internal/clientcert", "internal/infopipe", "internal/relay", "internal/safefile"},
	{"internal/login", "internal/state"},
	{"internal/cockpit", "internal/pamconf", "internal/sssdconf"},
	{"internal/diagnose", "internal/journal", "internal/scriptlet"},
	{"cmd/cockpit-cert-session", "cmd/pam-cockpit-cert", "module"},
}

// tier returns a package's place in tiers; -1 if it has none.
func tier(path string) int {
	return slices.IndexFunc(tiers, func(tier []string) bool { return slices.Contains(tier, path) })
}

// forTests reports whether a package is only for tests or for the Makefiles.
func forTests(path string) bool {
	return strings.HasPrefix(path, "internal/testutil/") || strings.HasPrefix(path, "test/") || strings.HasPrefix(path, "tools/")
}

// goPackage is a package of this module, with the packages of this module that it
// and its tests import.
type goPackage struct {
	path                 string
	imports, testImports []string
}

// packages returns every package that has a Go file, whatever its build tags.
func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.Command("go", "list", "-tags", "systems", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	command.Dir = root
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var listed struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, goPackage{
			path:        strings.TrimPrefix(listed.ImportPath, prefix),
			imports:     ours(listed.Imports),
			testImports: ours(slices.Concat(listed.TestImports, listed.XTestImports)),
		})
	}
	return list
}

const prefix = "pam_cockpit_cert/"

// ours returns the imported packages that belong to this module.
func ours(imported []string) []string {
	var paths []string
	for _, path := range imported {
		if path, ok := strings.CutPrefix(path, prefix); ok {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestImportsPointDown(t *testing.T) {
	listed := packages(t)
	for _, p := range listed {
		if forTests(p.path) {
			continue
		}
		if tier(p.path) < 0 {
			t.Errorf("%s has no place in tiers, nor is it below internal/testutil, test or tools", p.path)
			continue
		}
		for _, imported := range p.imports {
			switch {
			case forTests(imported):
				t.Errorf("%s imports %s, which is only for tests", p.path, imported)
			case tier(imported) >= tier(p.path):
				t.Errorf("%s imports %s, which is not below it", p.path, imported)
			}
		}
	}
	for _, path := range slices.Concat(tiers...) {
		if !slices.ContainsFunc(listed, func(p goPackage) bool { return p.path == path }) {
			t.Errorf("%s is in tiers, and there is no such package", path)
		}
	}
}

// TestSuitesStandAlone checks that suites import no other suite: code that two suites
// need belongs below internal/testutil.
func TestSuitesStandAlone(t *testing.T) {
	// The gate's check of a record, which is C and tested from Go.
	const answer = "test/answer"
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.imports, p.testImports) {
			if strings.HasPrefix(imported, "test/") && imported != answer {
				t.Errorf("%s imports %s: move what both need to internal/testutil", p.path, imported)
			}
			if strings.HasPrefix(imported, "tools/") {
				t.Errorf("%s imports %s, which is a program", p.path, imported)
			}
		}
	}
}

// TestEveryDirectoryIsInTheGuide checks that HACKING.md lists every directory.
func TestEveryDirectoryIsInTheGuide(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "HACKING.md"))
	if err != nil {
		t.Fatal(err)
	}
	var directories []string
	for _, parent := range []string{".", "cmd", "internal", "test"} {
		entries, err := os.ReadDir(filepath.Join(root, parent))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
				directories = append(directories, filepath.Join(parent, entry.Name()))
			}
		}
	}
	// Without directories that only have others, which are listed themselves, and those
	// that a build makes.
	directories = slices.DeleteFunc(directories, func(path string) bool {
		return slices.Contains([]string{"build", "cmd", "debian", "internal", "test", "vendor"}, path)
	})
	for _, path := range directories {
		if !strings.Contains(string(text), "`"+path+"`") && !strings.Contains(string(text), "`"+path+"/") {
			t.Errorf("HACKING.md does not say what %s is for", path)
		}
	}
}
