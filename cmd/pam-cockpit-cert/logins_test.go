// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Some processes add and remove the rule, while the real libpam reads the service as
// for each login. The last rule of the file names a module that does not exist: if
// libpam does not log that, or logs another error, it has not read a complete file.
func TestEveryLoginSeesAWholeFile(t *testing.T) {
	verdict := filepath.Join(t.TempDir(), "verdict")
	if out, err := exec.Command("cc", "-o", verdict, "../../internal/pamconf/testdata/verdict.c", "-lpam").CombinedOutput(); err != nil {
		t.Skipf("needs a C compiler and libpam0g-dev: %s", out)
	}
	root := t.TempDir()
	dir := filepath.Join(root, "etc/pam.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "auth required pam_permit.so\n" + strings.Repeat("# long enough to be read in parts\n", 1000) + "session required none_last.so\n"
	for name, text := range map[string]string{"cockpit": text, "other": "auth required pam_deny.so\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	stop, editors := make(chan struct{}), sync.WaitGroup{}
	var edits [2]atomic.Int32
	for i := range len(edits) {
		editors.Add(1)
		go func() {
			defer editors.Done()
			quiet := &ui{out: &output{Writer: io.Discard}, err: io.Discard}
			for verb := "install"; ; edits[i].Add(1) {
				select {
				case <-stop:
					return
				default:
				}
				command := command(quiet)
				command.SetArgs([]string{"--root", root, "pam", verb})
				if err := command.Execute(); err != nil {
					t.Errorf("%s: %v", verb, err)
					return
				}
				if verb == "install" {
					verb = "remove"
				} else {
					verb = "install"
				}
			}
		}()
	}
	end := sync.OnceFunc(func() { close(stop); editors.Wait() })
	defer end()
	logins := 0
	for logins < 600 || edits[0].Load() < 10 || edits[1].Load() < 10 {
		libpam := exec.Command(verdict, dir)
		libpam.Stdin = strings.NewReader(strings.Repeat("cockpit\n", 200))
		out, err := libpam.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			complaints := strings.Split(line, "\t")
			if len(complaints) != 4 || !strings.Contains(complaints[1], "none_last.so") || complaints[3] != "0" {
				t.Fatalf("login %d saw something else: %q", logins, complaints)
			}
			logins++
		}
		if t.Failed() {
			break
		}
	}
	end()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left in the directory: %v (%v)", entries, err)
	}
	t.Logf("%d logins during %d and %d edits", logins, edits[0].Load(), edits[1].Load())
}
