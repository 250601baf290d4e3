// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package scriptlet

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/sssdconf"
	"pam_cockpit_cert/internal/state"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/rootfs"
)

// TestRemovalUndoesAll checks that a removal undoes all that the command can do:
// the rule, enable and setup. Files that were changed since are reported, and
// stay. The scripts in cmd/pam-cockpit-cert/testdata/script check the rule from
// version to version.
func TestRemovalUndoesAll(t *testing.T) {
	const plain = "auth required pam_unix.so\n"
	for format, script := range map[string][]string{
		"deb": {"prerm", "remove"},
		"rpm": {"preun", "0"},
	} {
		for _, changed := range []bool{false, true} {
			name := format
			if changed {
				name += ", one file changed since"
			}
			t.Run(name, func(t *testing.T) {
				root := rootfs.New(t, map[string]string{"etc/pam.d/cockpit": plain, "var/lib/other": ""})
				var told []string
				s := Scriptlet{Root: root, Warn: func(line string) { told = append(told, line) }}
				if err := s.putIn("1"); err != nil {
					t.Fatal(err)
				}
				if _, err := cockpit.EnableCertificates(root, cockpit.CertificateSettings("/usr/libexec/pam_cockpit_cert/cockpit-cert-session")); err != nil {
					t.Fatal(err)
				}
				if err := (sssdconf.Setup{Root: root, Authorities: pki.NewAuthority("Lab CA").PEM()}).Apply(); err != nil {
					t.Fatal(err)
				}
				authorities := filepath.Join(root, (&sssdconf.Config{}).CA())
				if changed {
					if err := os.WriteFile(authorities, []byte("changed"), 0o600); err != nil {
						t.Fatal(err)
					}
				}

				if err := s.Run(format, script[0], script[1:], strings.NewReader("")); err != nil {
					t.Errorf("%v: %v", err, told)
				}
				if text, err := os.ReadFile(filepath.Join(root, serviceFile)); err != nil || string(text) != plain {
					t.Errorf("%s is %q: %v", serviceFile, text, err)
				}
				if format == "deb" { // as the postrm does
					if err := state.Forget(root, removal); err != nil {
						t.Fatal(err)
					}
				}
				for _, gone := range []string{cockpit.ConfigFile, "/var/lib/pam_cockpit_cert"} {
					if _, err := os.Lstat(filepath.Join(root, gone)); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s is there: %v", gone, err)
					}
				}
				_, err := os.Stat(authorities)
				if stays := err == nil; stays != changed || stays != strings.Contains(strings.Join(told, "\n"), authorities) {
					t.Errorf("%s stays: %v; told %q", authorities, stays, told)
				}
			})
		}
	}
}

// TestAbortedRemoval checks that every byte is restored if the removal fails after
// dpkg has called prerm.
func TestAbortedRemoval(t *testing.T) {
	root := rootfs.New(t, map[string]string{"etc/pam.d/cockpit": "auth required pam_unix.so\n", "var/lib/other": ""})
	var told []string
	s := Scriptlet{Root: root, Warn: func(line string) { told = append(told, line) }}
	run := func(script, argument string) error {
		return s.Run("deb", script, []string{argument}, strings.NewReader(""))
	}
	if err := s.putIn("1"); err != nil {
		t.Fatal(err)
	}
	// The rule as an administrator has edited it.
	service := filepath.Join(root, serviceFile)
	text, err := os.ReadFile(service)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(".so\n"), []byte(".so debug timeout=20\n"), 1)
	if err := os.WriteFile(service, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := cockpit.EnableCertificates(root, cockpit.CertificateSettings("/usr/libexec/pam_cockpit_cert/cockpit-cert-session")); err != nil {
		t.Fatal(err)
	}
	if err := (sssdconf.Setup{Root: root, Authorities: pki.NewAuthority("Lab CA").PEM()}).Apply(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(root, cockpit.ConfigFile)
	if err := os.Chmod(config, 0o640); err != nil {
		t.Fatal(err)
	}
	before := tree(t, root)

	if err := run("prerm", "remove"); err != nil {
		t.Fatal(err, told)
	}
	if tree(t, root) == before {
		t.Fatal("nothing was removed: this test tests nothing")
	}
	info, err := os.Stat(state.Path(root, removal))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("what may have been readable by few is readable by %v: %v", info.Mode(), err)
	}
	if err := run("postinst", "abort-remove"); err != nil || len(told) > 0 {
		t.Errorf("%v: %q", err, told)
	}
	if after := tree(t, root); after != before {
		t.Errorf("restored:\n%s\nbefore:\n%s", after, before)
	}

	// A file that the administrator changed meanwhile stays.
	if err := run("prerm", "remove"); err != nil {
		t.Fatal(err, told)
	}
	const theirs = "auth required pam_deny.so\n"
	if err := os.WriteFile(service, []byte(theirs), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run("postinst", "abort-remove"); !errors.Is(err, ErrIncomplete) || !strings.Contains(strings.Join(told, "\n"), service) {
		t.Errorf("%v: %q", err, told)
	}
	if text, err := os.ReadFile(service); err != nil || string(text) != theirs {
		t.Errorf("overwritten: %q, %v", text, err)
	}
	if _, err := os.Stat(config); err != nil {
		t.Errorf("the other files are not restored: %v", err)
	}
}

// tree lists the files of a root with their modes and texts.
func tree(t *testing.T, root string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %v %q\n", strings.TrimPrefix(path, root), info.Mode(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
