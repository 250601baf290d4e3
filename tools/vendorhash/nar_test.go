// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a directory with every kind of file that a Nix archive tells apart.
func tree(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	for path, f := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"empty":        {"", 0o644},
		"eight":        {"12345678", 0o644},
		"nine":         {"123456789", 0o600},
		"run":          {"#!/bin/sh\n", 0o755},
		"group-run":    {"not for the owner", 0o654},
		"sub/a.go":     {"package a\n", 0o644},
		"sub/B.go":     {"package a\n", 0o644},
		"sub-x/umläut": {"ü", 0o644},
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, f.mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "hollow"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("sub/nowhere", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestHashPathIsTheOneThatNixPrinted(t *testing.T) {
	const want = "sha256-M7WlhXN9BsJiMMxo06yYckPh+oFDVP8NcIB02gIlBJs=" // said by nix hash path
	got, err := HashPath(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHashPathAgreesWithNix(t *testing.T) {
	nix, err := exec.LookPath("nix")
	if err != nil {
		t.Skip("no nix here (Debian: nix-bin)")
	}
	for _, path := range []string{tree(t), "."} {
		cmd := exec.Command(nix, "--extra-experimental-features", "nix-command", "hash", "path", path)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		got, err := HashPath(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSpace(string(out)); got != want {
			t.Errorf("%s: got %s, nix says %s", path, got, want)
		}
	}
}

func TestHashPathRefusesWhatNoArchiveHolds(t *testing.T) {
	if _, err := HashPath("/dev/null"); err == nil {
		t.Error("a device was hashed")
	}
	if _, err := HashPath(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing file was hashed")
	}
}
