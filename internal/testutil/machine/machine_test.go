// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package machine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestOverlay(t *testing.T) {
	root := Root(t, Recipe{Suite: "bookworm"})
	o := NewOverlay(t, root)
	if got := o.Sh(t, `. /etc/os-release; echo $VERSION_CODENAME`); got != "bookworm\n" {
		t.Errorf("the root is of %q", got)
	}
	if got := strings.Fields(o.Sh(t, `sleep 600 & ps -e -o pid= || ls -d /proc/[0-9]*`)); len(got) > 8 {
		t.Errorf("the overlay sees processes of others: %v", got)
	}
	o.Write(t, "/etc/deep/in/file", 0o640, []byte("content"))
	if got := o.Sh(t, "stat -c %a /etc/deep/in/file; cat /etc/deep/in/file"); got != "640\ncontent" {
		t.Errorf("wrote %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/deep")); err == nil {
		t.Error("the root was written to")
	}
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "x"), []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Copy(t, from, "/opt/copied")
	if got := o.Run(t, "cat", "/opt/copied/x"); got != "y" {
		t.Errorf("copied %q", got)
	}
	if out, err := o.Try(t, "sh", "-c", "echo why >&2; exit 3"); err == nil || out != "why\n" {
		t.Errorf("a command that fails: %q, %v", out, err)
	}
}

func TestBoot(t *testing.T) {
	root := Root(t, Recipe{Suite: "bookworm", Packages: []string{"systemd", "systemd-sysv", "dbus"}})
	check(t, Boot(t, NewOverlay(t, root)))
}

func check(t *testing.T, m *Machine) {
	t.Helper()
	journal := m.Journal(t)
	m.Sh(t, `echo "it's in the journal" | systemd-cat`)
	if got := journal.Since(t); !strings.Contains(got, "it's in the journal") {
		t.Errorf("the journal lacks what was written to it:\n%s", got)
	}
	m.Write(t, "/etc/deep/file", 0o600, []byte("content"))
	if got := m.Run(t, "cat", "/etc/deep/file"); got != "content" {
		t.Errorf("wrote %q", got)
	}
	if out, err := m.Try(t, "sh", "-c", "exit 3"); err == nil {
		t.Errorf("a command that fails: %q, %v", out, err)
	}
	m.Stop()
	if out, err := m.Try(t, "true"); err == nil {
		t.Errorf("a machine that was stopped: %q", out)
	}
}
