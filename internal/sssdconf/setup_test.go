// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"os"
	"path/filepath"
	"testing"

	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/rootfs"
)

// TestUndoOfAnImage checks that the setup of a mounted image can be undone when it is
// mounted elsewhere, or has booted.
func TestUndoOfAnImage(t *testing.T) {
	mounted := rootfs.New(t, map[string]string{"etc/os-release": ""})
	if err := (Setup{Root: mounted, Authorities: pki.NewAuthority("Lab CA").PEM()}).Apply(); err != nil {
		t.Fatal(err)
	}
	authorities := (&Config{}).CA()
	if _, err := os.Stat(filepath.Join(mounted, authorities)); err != nil {
		t.Fatal(err)
	}
	booted := filepath.Join(t.TempDir(), "booted")
	if err := os.Rename(mounted, booted); err != nil {
		t.Fatal(err)
	}
	removed, left, err := Undo(booted)
	if err != nil || len(removed) != 3 || len(left) != 0 { // the file, and two directories
		t.Errorf("removed %v, left %v: %v", removed, left, err)
	}
	entries, err := os.ReadDir(filepath.Join(booted, "etc"))
	if err != nil || len(entries) != 1 {
		t.Errorf("there is %v, %v", entries, err)
	}
}
