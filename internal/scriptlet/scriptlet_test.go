// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package scriptlet

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/sssdconf"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/rootfs"
)

// TestRemovalUndoesAll that the package's command can do: the rule, enable and
// setup; what was changed since is told, and stays. testdata/script of
// cmd/pam-cockpit-cert has what happens to the rule from version to version.
func TestRemovalUndoesAll(t *testing.T) {
	const plain = "auth required pam_unix.so\n"
	for format, removal := range map[string][]string{
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

				if err := s.Run(format, removal[0], removal[1:], strings.NewReader("")); err != nil {
					t.Errorf("%v: %v", err, told)
				}
				if text, err := os.ReadFile(filepath.Join(root, serviceFile)); err != nil || string(text) != plain {
					t.Errorf("%s is %q: %v", serviceFile, text, err)
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
