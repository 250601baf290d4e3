// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/rootfs"
)

func config(t *testing.T, files map[string]string) *Config {
	t.Helper()
	c, err := Read(rootfs.New(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLaterSnippetsCountMore(t *testing.T) {
	c := config(t, map[string]string{
		mainFile:                         "key = of no section\n[ifp]\nca_db = /main.pem\n# ca_db = /comment\n; ca_db = /comment\n not a setting\n[sssd]\ndomains = a\n",
		snippetsDir + "/20.conf":         "[ifp]\nca_db =  /twenty.pem \n",
		snippetsDir + "/10.conf":         "[ifp]\nca_db = /ten.pem\n[domain/b]\nenabled = true\n",
		snippetsDir + "/.30.conf":        "[domain/hidden]\nenabled = true\n",
		snippetsDir + "/40.conf.rpmsave": "[ifp]\nca_db = /saved.pem\n",
	})
	if got := c.CA(); got != "/twenty.pem" {
		t.Errorf("the authorities are in %s", got)
	}
	if got := c.Domains(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the domains are %v", got)
	}
	if got := config(t, map[string]string{snippetsDir + "/10.conf": "[sssd]\ndomains = , a,b ,\n"}); got.CA() != DefaultCA || !slices.Equal(got.Domains(), []string{"a", "b"}) {
		t.Errorf("snippets alone: %s, %v", got.CA(), got.Domains())
	}
}

func TestNoConfigurationIsNone(t *testing.T) {
	for _, files := range []map[string]string{nil, {snippetsDir + "/README": "x"}} {
		if _, err := Read(rootfs.New(t, files)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
}

func TestWhatCannotBeReadIsNotGuessed(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(root string) error
		want string
	}{
		{"a folder", func(root string) error { return os.Mkdir(filepath.Join(root, mainFile), 0o755) }, "not a regular file"},
		{"a FIFO among the snippets", func(root string) error { return unix.Mkfifo(filepath.Join(root, snippetsDir, "1.conf"), 0o644) }, "not a regular file"},
		{"a large file", func(root string) error {
			return os.WriteFile(filepath.Join(root, mainFile), make([]byte, maxSize+1), 0o600)
		}, "larger than"},
		{"a loop of links", func(root string) error { return os.Symlink("sssd.conf", filepath.Join(root, mainFile)) }, "too many levels"},
		{"a file for the snippets' folder", func(root string) error {
			dir := filepath.Join(root, snippetsDir)
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600), os.WriteFile(filepath.Join(root, mainFile), nil, 0o600))
		}, "not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := rootfs.New(t, map[string]string{snippetsDir + "/README": ""})
			if err := test.make(root); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(root); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Links of the root lead nowhere else.
func TestALinkOfTheRootStaysInIt(t *testing.T) {
	root := rootfs.New(t, map[string]string{"/data/sssd.conf": "[ifp]\nca_db = /inside.pem\n", "/etc/sssd/x": ""})
	if err := os.Symlink("../../../../../../../../data/sssd.conf", filepath.Join(root, mainFile)); err != nil {
		t.Fatal(err)
	}
	if c, err := Read(root); err != nil || c.CA() != "/inside.pem" {
		t.Errorf("got %v", err)
	}
}

func TestHostileLinesAreSkipped(t *testing.T) {
	c := config(t, map[string]string{mainFile: "[\n]\n[]\n=\n[ifp]\n\x00 = \x00\n= x\n" + strings.Repeat("y", 500_000) + "\nca_db = /x.pem\r\n[sssd"})
	if got := c.CA(); got != "/x.pem" {
		t.Errorf("the authorities are in %q", got)
	}
}

func TestTheSearchIsWhatTheProviderWouldMake(t *testing.T) {
	const rules = "[certmap/d/alice]\nmatchrule = <SUBJECT>^CN=alice$\n"
	unknown := func(Rule) Verdict { return Verdict{} }
	for _, test := range []struct {
		name, text string
		eval       func(Rule) Verdict
		want       string
	}{
		{"local users", "[domain/d]\nid_provider = files\n" + rules, unknown, "domain d, rule alice: if <SUBJECT>^CN=alice$ matches, the user alice"},
		{"local users by proxy, with a rule that matches", "[domain/d]\nid_provider = proxy\n" + rules,
			func(Rule) Verdict { return Verdict{true, true, "(userCertificate;binary=x)"} }, "domain d, rule alice: <SUBJECT>^CN=alice$ matches, and means the user alice"},
		{"a rule that does not match", "[domain/d]\nid_provider = files\n" + rules, func(Rule) Verdict { return Verdict{Known: true} },
			"domain d, rule alice: <SUBJECT>^CN=alice$ does not match"},
		{"local users without a rule", "[domain/d]\nid_provider = files\n", unknown, "domain d (files): it has no section [certmap/d/USER], so that no certificate is anybody's"},
		{"a directory", "[domain/d]\nid_provider = ipa\n", unknown,
			"domain d (ipa): the user entry whose userCertificate;binary is this certificate, and rules that the directory itself may have"},
		{"a directory's other attribute", "[domain/d]\nid_provider = ldap\nldap_user_certificate = labCert\n", unknown,
			"domain d (ldap): the user entry whose labCert is this certificate, and rules that the directory itself may have"},
		{"a directory's rule", "[domain/d]\nid_provider = ldap\n[certmap/d/mail]\nmaprule = (mail={subject_rfc822_name})\n", unknown,
			"domain d, rule mail: if <KU>digitalSignature<EKU>clientAuth matches, (mail={subject_rfc822_name})"},
		{"a directory's rule that matches", "[domain/d]\nid_provider = ldap\n[certmap/d/mail]\nmatchrule = <ISSUER>x\nmaprule = (mail={subject_rfc822_name})\n",
			func(r Rule) Verdict { return Verdict{true, r.Match == "<ISSUER>x", "(mail=alice@lab.test)"} },
			"domain d, rule mail: <ISSUER>x matches, and means the user entry with (mail=alice@lab.test)"},
		{"a rule without a search of its own", "[domain/d]\nid_provider = ldap\n[certmap/d/all]\npriority = 1\n", unknown,
			"domain d, rule all: if <KU>digitalSignature<EKU>clientAuth matches, the user entry that has the certificate itself"},
		{"another domain's rule", "[domain/d]\nid_provider = files\n[certmap/e/alice]\nmatchrule = x\n", unknown, "it has no section"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := config(t, map[string]string{mainFile: test.text}).Search("d", test.eval)
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}
