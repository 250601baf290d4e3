// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/rootfs"
)

// newRoot makes a root whose files have the mode that SSSD requires.
func newRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose SSSD's files have to be")
	}
	root := rootfs.New(t, files)
	for name := range files {
		if err := os.Chmod(filepath.Join(root, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func config(t *testing.T, files map[string]string) *Config {
	t.Helper()
	c, err := Read(newRoot(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLaterSnippetsCountMore(t *testing.T) {
	c := config(t, map[string]string{
		mainFile:                         "key = of no section\n[ifp]\nca_db = /main.pem\n# ca_db = /comment\n; ca_db = /comment\n[sssd]\ndomains = a\n[domain/a]\n",
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
	if got := config(t, map[string]string{snippetsDir + "/10.conf": "[sssd]\ndomains = , a,b ,\n[domain/a]\n[domain/b]\n"}); got.CA() != DefaultCA || !slices.Equal(got.Domains(), []string{"a", "b"}) {
		t.Errorf("snippets alone: %s, %v", got.CA(), got.Domains())
	}
}

func TestNoConfiguration(t *testing.T) {
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
		{"a directory", func(root string) error { return os.Mkdir(filepath.Join(root, mainFile), 0o755) }, "not a regular file"},
		{"a large file", func(root string) error {
			return os.WriteFile(filepath.Join(root, mainFile), make([]byte, maxSize+1), 0o600)
		}, "larger than"},
		{"a loop of links", func(root string) error { return os.Symlink("sssd.conf", filepath.Join(root, mainFile)) }, "too many levels"},
		{"a file for the snippets' directory", func(root string) error {
			dir := filepath.Join(root, snippetsDir)
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600), os.WriteFile(filepath.Join(root, mainFile), nil, 0o600))
		}, "not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := newRoot(t, map[string]string{snippetsDir + "/README": ""})
			if err := test.make(root); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(root); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Links in a root do not lead out of it.
func TestALinkOfTheRootStaysInIt(t *testing.T) {
	root := rootfs.New(t, map[string]string{"/data/sssd.conf": "[ifp]\nca_db = /inside.pem\n", "/etc/sssd/x": ""})
	if err := os.Symlink("../../../../../../../../data/sssd.conf", filepath.Join(root, mainFile)); err != nil {
		t.Fatal(err)
	}
	if c, err := Read(root); err != nil || c.CA() != "/inside.pem" {
		t.Errorf("got %v", err)
	}
}

// wide and wider return a text in UTF-16 and in UTF-32, little-endian.
func wide(text string) (encoded string) {
	for _, r := range text {
		encoded += string([]byte{byte(r), byte(r >> 8)})
	}
	return encoded
}

func wider(text string) (encoded string) {
	for _, r := range text {
		encoded += string([]byte{byte(r), byte(r >> 8), 0, 0})
	}
	return encoded
}

// cases are files, with the line that makes SSSD reject them, or with what they set.
var cases = []struct {
	name, text string
	line       int    // of the error; 0 for none
	ca         string // ca_db in ifp
}{
	{"plain", "[ifp]\nca_db = /x.pem\n", 0, "/x.pem"},
	{"blanks in the section's name", "[ ifp\t]  \nca_db=/x.pem", 0, "/x.pem"},
	{"other case", "[IFP]\nCA_db = /x.pem\n", 0, "/x.pem"},
	{"sections of the same name", "[ifp]\nca_db = /x.pem\n[Ifp]\nca_db = /y.pem\n", 0, "/y.pem"},
	{"an indented setting", "[ifp]\n   ca_db   =   /x y.pem  \n", 0, "/x y.pem"},
	{"Windows' line ends", "[ifp]\r\nca_db = /x.pem\r\n", 0, "/x.pem"},
	{"a byte order mark", "\ufeff[ifp]\nca_db = /x.pem\n", 0, "/x.pem"},
	{"UTF-16", "\xff\xfe" + wide("[ifp]\nca_db = /\u00e9.pem\n"), 0, "/\u00e9.pem"},
	{"UTF-16, big-endian", "\xfe\xff\x00[\x00i\x00f\x00p\x00]\x00\n\x00c\x00a\x00_\x00d\x00b\x00=\x00/", 0, "/"},
	{"UTF-32", "\xff\xfe\x00\x00" + wider("[ifp]\nca_db = /x.pem\n"), 0, "/x.pem"},
	{"UTF-16 with words", "\xff\xfe" + wide("[ifp]\n\nca_db\n"), 3, ""},
	{"comments", "# a\n; b\n// c\n/* [ifp\n] */\n[ifp]\n/* d */\nca_db = /x.pem # e\n", 0, "/x.pem # e"},
	{"a comment that does not end", "[ifp]\nca_db = /x.pem\n/*/\nca_db = /y.pem\n", 5, ""},
	{"an empty value", "[ifp]\nca_db =\n", 0, DefaultCA},
	{"a section's name with a bracket", "[if]p]\nca_db = /x.pem\n", 0, DefaultCA},
	{"text after the section's name", "[ifp] # mine\nca_db = /x.pem\n", 1, ""},
	{"an open section", "[ifp\n", 1, ""},
	{"an indented section", "[sssd]\n [ifp]\n", 2, ""},
	{"an indented comment", "[sssd]\n # comment\n", 2, ""},
	{"a section without a name", "[ifp]\n[]\n", 2, ""},
	{"a setting without a name", "[ifp]\n = x\n", 2, ""},
	{"words", "[ifp]\n\nca_db\n", 3, ""},
}

func TestFilesAreReadAsSSSDReadsThem(t *testing.T) {
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c, err := Read(newRoot(t, map[string]string{mainFile: test.text}))
			var refused *SyntaxError
			switch {
			case test.line > 0:
				if !errors.As(err, &refused) || refused.Line != test.line {
					t.Errorf("got %v", err)
				}
			case err != nil:
				t.Error(err)
			case c.CA() != test.ca:
				t.Errorf("the authorities are in %q", c.CA())
			}
		})
	}
}

// SSSD's own tool rejects the same files.
func TestSSSDRefusesTheSameFiles(t *testing.T) {
	if _, err := exec.LookPath("sssctl"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs sssd-tools, and root")
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			root := newRoot(t, map[string]string{mainFile: test.text, snippetsDir + "/README": ""})
			out, err := exec.Command("sssctl", "config-check", "--config="+filepath.Join(root, mainFile), "--snippet="+filepath.Join(root, snippetsDir)).CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if refused := strings.Contains(string(out), "Failed to load configuration"); refused != (test.line > 0) ||
				refused && !strings.Contains(string(out), fmt.Sprintf("on line %d:", test.line)) {
				t.Errorf("sssctl says:\n%s", out)
			}
		})
	}
}

func TestSnippetsThatSSSDIgnoresAreIgnored(t *testing.T) {
	root := newRoot(t, map[string]string{mainFile: "[ifp]\nca_db = /main.pem\n",
		snippetsDir + "/10.conf": "[ifp]\nca_db = /ten.pem\n", snippetsDir + "/20.conf": "[ifp]\nca_db = /twenty.pem\n",
		snippetsDir + "/30.conf": "words\n", snippetsDir + "/40.conf": "[ifp]\nca_db = /forty.pem\n"})
	for name, mode := range map[string]os.FileMode{"10.conf": 0o700, "20.conf": 0o644} {
		if err := os.Chmod(filepath.Join(root, snippetsDir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(root, snippetsDir, "40.conf"), 1000, 0); err != nil {
		t.Fatal(err)
	}
	c, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CA(); got != "/ten.pem" || c.Where("ifp", "ca_db") != "line 2 of "+snippetsDir+"/10.conf" {
		t.Errorf("the authorities are in %s, by %s", got, c.Where("ifp", "ca_db"))
	}
	if err := errors.Join(os.Mkdir(filepath.Join(root, snippetsDir, "50.conf"), 0o700), unix.Mkfifo(filepath.Join(root, snippetsDir, "60.conf"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if c, err = Read(root); err != nil || len(c.Skipped) != 5 || !strings.HasSuffix(c.Skipped[3], "50.conf: it is not a file") || !strings.HasSuffix(c.Skipped[4], "60.conf: it is not a file") {
		t.Fatalf("got %v, %v", c, err)
	}
	if err := errors.Join(os.Remove(filepath.Join(root, snippetsDir, "50.conf")), os.Remove(filepath.Join(root, snippetsDir, "60.conf"))); err != nil {
		t.Fatal(err)
	}
	if c, err = Read(root); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"20.conf: its mode has to be 600, and is 644", "30.conf: line 1: there is no =", "40.conf: it has to be root's, and is user 1000's"} {
		if len(c.Skipped) != 3 || !strings.Contains(c.Skipped[i], want) {
			t.Errorf("skipped are %q", c.Skipped)
		}
	}
	// Debian 12's SSSD has its own account, but runs as root.
	if err := errors.Join(os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("sssd:x:1000:1001::/:/bin/false\n"), 0o644),
		os.Chown(filepath.Join(root, snippetsDir, "40.conf"), 0, 1001), os.Chmod(filepath.Join(root, snippetsDir, "40.conf"), 0o640)); err != nil {
		t.Fatal(err)
	}
	if c, err := Read(root); err != nil || len(c.Skipped) != 3 {
		t.Errorf("got %v, %v", c, err)
	}
	// SSSD 2.10 and later makes its files readable by their group when it starts. Debian
	// 13's runs as root.
	unit := filepath.Join(root, "usr/lib/systemd/system/sssd.service")
	if err := errors.Join(os.Chmod(filepath.Join(root, snippetsDir, "10.conf"), 0o640), os.MkdirAll(filepath.Dir(unit), 0o755),
		os.WriteFile(unit, []byte("[Service]\nExecStartPre=+-/bin/chmod -f -R g+r /etc/sssd\nUser=root\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if c, err := Read(root); err != nil || c.CA() != "/ten.pem" || len(c.Skipped) != 3 {
		t.Errorf("got %v, %v", c, err)
	}
	if err := os.Remove(unit); err != nil {
		t.Fatal(err)
	}
	// It may run as its account.
	if err := os.Chown(filepath.Join(root, filepath.Dir(mainFile)), 0, 1001); err != nil {
		t.Fatal(err)
	}
	if c, err := Read(root); err != nil || c.CA() != "/forty.pem" {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestOnlyDomainsThatSSSDServesCount(t *testing.T) {
	for text, want := range map[string][]string{
		"[sssd]\ndomains = a, b\n[domain/a]\n":                              {"a"},
		"[sssd]\ndomains = A, a\n[ Domain/a ]\n":                            {"A"},
		"[sssd]\ndomains = a, b\n[domain/a]\nenabled = FALSE\n[domain/b]\n": {"b"},
		"[sssd]\ndomains = b\n[domain/a]\nenabled = True\n[domain/b]\n":     {"b", "a"},
		"[domain/a]\n[domain/b]\nenabled = yes\n":                           nil,
	} {
		if got := config(t, map[string]string{mainFile: text}).Domains(); !slices.Equal(got, want) {
			t.Errorf("%q: %v", text, got)
		}
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
			func(Rule) Verdict { return Verdict{Known: true, Matches: true, Filter: "(userCertificate;binary=x)"} }, "domain d, rule alice: <SUBJECT>^CN=alice$ matches, and means the user alice"},
		{"a rule that does not match", "[domain/d]\nid_provider = files\n" + rules, func(Rule) Verdict { return Verdict{Known: true} },
			"domain d, rule alice: <SUBJECT>^CN=alice$ does not match"},
		{"local users without a rule", "[domain/d]\nid_provider = files\n", unknown, "domain d (files): it has no section [certmap/d/USER], so that no certificate maps to a user"},
		{"a directory", "[domain/d]\nid_provider = ipa\n", unknown,
			"domain d (ipa): the user entry whose userCertificate;binary is this certificate, and rules that the directory itself may have"},
		{"a directory's other attribute", "[domain/d]\nid_provider = ldap\nldap_user_certificate = labCert\n", unknown,
			"domain d (ldap): the user entry whose labCert is this certificate, and rules that the directory itself may have"},
		{"a directory's rule", "[domain/d]\nid_provider = ldap\n[certmap/d/mail]\nmaprule = (mail={subject_rfc822_name})\n", unknown,
			"domain d, rule mail: if <KU>digitalSignature<EKU>clientAuth matches, (mail={subject_rfc822_name})"},
		{"a directory's rule that matches", "[domain/d]\nid_provider = ldap\n[certmap/d/mail]\nmatchrule = <ISSUER>x\nmaprule = (mail={subject_rfc822_name})\n",
			func(r Rule) Verdict {
				return Verdict{Known: true, Matches: r.Match == "<ISSUER>x", Filter: "(mail=alice@lab.test)"}
			},
			"domain d, rule mail: <ISSUER>x matches, and means the user entry with (mail=alice@lab.test)"},
		{"a rule without a search of its own", "[domain/d]\nid_provider = ldap\n[certmap/d/all]\npriority = 1\n", unknown,
			"domain d, rule all: if <KU>digitalSignature<EKU>clientAuth matches, the user entry that has the certificate itself"},
		{"a rule with a mistake", "[domain/d]\nid_provider = files\n[certmap/d/alice]\nmatchrule = <SUBJCT>x\n", func(Rule) Verdict { return Verdict{Refused: true} },
			"domain d, rule alice: <SUBJCT>x has a mistake, so that SSSD ignores the rule"},
		{"another domain's rule", "[domain/d]\nid_provider = files\n[certmap/e/alice]\nmatchrule = x\n", unknown, "it has no section"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := config(t, map[string]string{mainFile: test.text}).Search("d", test.eval)
			if len(got) != 1 || !strings.Contains(got[0].Text, test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
