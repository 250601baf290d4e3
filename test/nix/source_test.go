// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package nix

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func inTop(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = top
	return cmd
}

// copySource copies the files that git tracks, like a flake's source, without the
// dropped paths.
func copySource(t *testing.T, dst string, dropped []string) {
	t.Helper()
	root, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	root, err = filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	files := output(t, inTop(exec.Command("git", "ls-files", "-z")))
	for _, name := range strings.Split(strings.TrimSuffix(files, "\x00"), "\x00") {
		path := filepath.Join(root, name)
		if slices.ContainsFunc(dropped, func(d string) bool { return path == d || strings.HasPrefix(path, d+"/") }) {
			continue
		}
		to := filepath.Join(dst, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}
