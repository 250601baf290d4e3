// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWithoutApt runs the targets that install packages where there is no apt, as on
// Fedora: they name what the tests use, and go on.
func TestWithoutApt(t *testing.T) {
	path := t.TempDir()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		programs, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range programs {
			name := filepath.Base(program)
			if strings.HasPrefix(name, "apt") || strings.HasPrefix(name, "dpkg") {
				continue
			}
			if err := os.Symlink(program, filepath.Join(path, name)); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	out, err := invoke("../..", []string{"PATH=" + path}, "deps-check", "deps-systems")
	if err != nil {
		t.Fatalf("make stops where there is no apt: %v\n%s", err, out)
	}
	for _, name := range []string{"no apt here", "libpam0g-dev", "sssd-dbus", "mmdebstrap"} {
		if !strings.Contains(out, name) {
			t.Errorf("make does not say %q:\n%s", name, out)
		}
	}
}
