// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package admin tests the administrator's command in namespaces, with a real D-Bus and
// a real SSSD.
package admin

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

func TestMain(m *testing.M) { namespace.Main(m) }

// command runs pam-cockpit-cert, and returns what it printed and its exit status.
func command(t *testing.T, stdin []byte, user uint32, args ...string) (output string, status int) {
	t.Helper()
	c := exec.Command(pamhost.Built(t, "pam-cockpit-cert"), args...)
	c.Stdin = bytes.NewReader(stdin)
	if user != 0 {
		c.Path = pamhost.Anyones(t, "pam-cockpit-cert")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	out, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

func config(t *testing.T, more string) string {
	return sssd.Mapping(t, "alice") + more
}

// wants looks for each text in the output.
func wants(t *testing.T, output string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Errorf("there is no %q in\n%s", text, output)
		}
	}
}

// With SSSD's own tool for rules, check says which rules match.
func TestCheckSaysWhichRulesMatch(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("sssctl"); err != nil {
		t.Skip("needs sssd-tools")
	}
	ca := pki.NewAuthority("Lab CA")
	mallory := ca.Issue("mallory")
	for _, test := range []struct {
		name  string
		start func(*sssd.SSSD)
		wants []string
	}{
		{"local users", func(s *sssd.SSSD) { s.Start(config(t, "[certmap/local/gone]\nmatchrule = <SUBJECT>^CN=mallory,\n")) },
			[]string{"domain local, rule alice: <SUBJECT>^CN=alice,O=Lab$ does not match",
				"domain local, rule gone: <SUBJECT>^CN=mallory, matches, and means the user gone"}},
		{"a directory", func(s *sssd.SSSD) {
			directory := s.StartDirectory(sssd.Person{Name: "lalice", UID: 62001})
			s.Start("[sssd]\nservices = nss, ifp\ndomains = lab.test\n" + directory.Domain("lab.test", "") +
				"[certmap/lab.test/name]\nmatchrule = <ISSUER>^CN=Lab CA\nmaprule = LDAP:(description={subject_dn})\n")
		}, []string{"domain lab.test, rule name: <ISSUER>^CN=Lab CA matches, and means the user entry with (description=CN=mallory,O=Lab)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			test.start(s)
			output, status := command(t, mallory.PEM(), 0, "check", "-")
			wants(t, output, test.wants...)
			if status != 1 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// module returns the module's own result of a login with the certificate.
func module(t *testing.T, certificate pki.Certificate) string {
	t.Helper()
	so := pamhost.Built(t, "pam_cockpit_cert.so")
	namespace.ListenSyslog(t)
	cockpittls.Export(t, cockpittls.From257, certificate)
	dir := t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+so+"\n")
	return pamhost.Host{Args: []string{"-d", dir}, Prepare: cockpittls.NewInstance(t, certificate.Fingerprint()).Enter}.Run(t).Get("result")
}

var codes = map[string]string{
	"PAM_SUCCESS": pamhost.Success, "PAM_USER_UNKNOWN": pamhost.UserUnknown,
	"PAM_AUTHINFO_UNAVAIL": pamhost.AuthinfoUnavail, "PAM_SERVICE_ERR": pamhost.ServiceErr,
}

func TestCheckSaysWhatALoginWouldGetAndWhy(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice, revoked := ca.Issue("alice"), ca.Issue("alice")
	ca.Revoke(revoked)
	for _, test := range []struct {
		name        string
		certificate pki.Certificate
		start       func(*sssd.SSSD) // default: SSSD with the local domain
		pam         string
		wants       []string
	}{
		{"mapped", alice, nil, "PAM_SUCCESS",
			[]string{"subject      CN=alice,O=Lab", "issuer       CN=Lab CA,O=Lab", "fingerprint  " + alice.Fingerprint(), "user         alice, user ID 61001", "result       success (PAM_SUCCESS)"}},
		{"expired", ca.Issue("alice", pki.Expired), nil, "PAM_USER_UNKNOWN",
			[]string{"reason       SSSD refuses the certificate", "it expired on ", ", 1 day ago", "next         the user needs a new certificate"}},
		{"not yet valid", ca.Issue("alice", pki.Future), nil, "PAM_USER_UNKNOWN",
			[]string{"it is not valid before ", "in less than a day", "next         is this system's clock right?"}},
		{"unknown authority", pki.NewAuthority("Other CA").Issue("alice"), nil, "PAM_USER_UNKNOWN",
			[]string{"its issuer CN=Other CA,O=Lab is missing in /etc/sssd/pki/sssd_auth_ca_db.pem",
				"next         if that authority is to be trusted with logins, append its certificate to /etc/sssd/pki/sssd_auth_ca_db.pem"}},
		{"an authority of the same name", pki.NewAuthority("Lab CA").Issue("alice"), nil, "PAM_USER_UNKNOWN",
			[]string{"its issuer CN=Lab CA,O=Lab did not sign it with the key in /etc/sssd/pki/sssd_auth_ca_db.pem"}},
		{"revoked", revoked, func(s *sssd.SSSD) {
			s.Write("/etc/sssd/pki/crl.pem", string(ca.CRL()))
			s.Start(strings.Replace(config(t, ""), "[sssd]\n", "[sssd]\ncertificate_verification = crl_file=/etc/sssd/pki/crl.pem\n", 1))
		}, "PAM_USER_UNKNOWN", []string{"it was revoked, by the list in /etc/sssd/pki/crl.pem", "next         the user needs a new certificate"}},
		{"unmapped", ca.Issue("mallory"), nil, "PAM_USER_UNKNOWN",
			[]string{"SSSD knows no user by this certificate", "looked for in domain local, rule alice: "}},
		{"no rule at all", alice, func(s *sssd.SSSD) {
			s.Start(sssd.Mapping(t))
		}, "PAM_USER_UNKNOWN", []string{"no section [certmap/local/USER]"}},
		{"SSSD down", alice, func(s *sssd.SSSD) { s.StartBus() }, "PAM_AUTHINFO_UNAVAIL",
			[]string{"result       unavail", "next         "}},
		{"no D-Bus", alice, func(*sssd.SSSD) {}, "PAM_AUTHINFO_UNAVAIL",
			[]string{"cannot connect to D-Bus", "next         is dbus.service running?"}},
		{"root in the names of others", alice, func(s *sssd.SSSD) {
			s.Start(config(t, "[ifp]\nallowed_uids = 12345\n"))
		}, "PAM_SERVICE_ERR", []string{"SSSD does not let us ask"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.AddUser("alice", 61001)
			if test.start == nil {
				s.Start(config(t, ""))
			} else {
				test.start(s)
			}
			file := filepath.Join(t.TempDir(), "certificate.pem")
			if err := os.WriteFile(file, test.certificate.PEM(), 0o644); err != nil {
				t.Fatal(err)
			}
			output, status := command(t, nil, 0, "check", file)
			t.Logf("\n%s", output)
			wants(t, output, append(test.wants, "("+test.pam+")")...)
			if want := map[bool]int{true: 0, false: 1}[test.pam == "PAM_SUCCESS"]; status != want {
				t.Errorf("exit status %d", status)
			}
			if got := module(t, test.certificate); got != codes[test.pam] {
				t.Errorf("a login gets %s, not %s", got, test.pam)
			}
		})
	}
}

// An attacker chooses the names in a certificate. They can neither move the
// administrator's cursor nor forge a line of the output.
func TestCheckIsNotForgedByACertificate(t *testing.T) {
	namespace.Need(t)
	s := sssd.New(t, pki.NewAuthority("Lab CA").PEM())
	s.StartBus()
	forged := pki.NewAuthority("Other\x1b[0m\a CA").Issue("alice\x1b[2J\nresult       success (PAM_SUCCESS)\u202e")
	output, status := command(t, forged.PEM(), 0, "check", "-")
	wants(t, output, `subject      CN=alice\1B[2J\0Aresult       success`, `issuer       CN=Other\1B[0m\07 CA`)
	if strings.ContainsAny(output, "\x1b\a\u202e") || strings.Contains(output, "\nresult       success") || status != 1 {
		t.Errorf("exit status %d: %q", status, output)
	}
	output, _ = command(t, forged.PEM(), 0, "--json", "check", "-")
	if strings.ContainsAny(output, "\x1b\a") {
		t.Errorf("JSON: %q", output)
	}
}

func TestCheckReadsEveryForm(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	bundle := append(append(append([]byte("Subject: alice\n"), alice.KeyPEM()...), alice.PEM()...), ca.PEM()...)
	for _, test := range []struct {
		name  string
		stdin []byte
		user  uint32
		args  []string
		exit  int
		want  string
	}{
		{"PEM", alice.PEM(), 0, []string{"-"}, 0, "result       success"},
		{"DER", alice.DER, 0, []string{"-"}, 0, "result       success"},
		{"a key, text and the issuer beside it", bundle, 0, []string{"-"}, 0, "WARNING      standard input has 2 certificates: this is about the first"},
		{"in JSON, too", bundle, 0, []string{"--json", "-"}, 0, `"standard input has 2 certificates: this is about the first"`},
		{"JSON", alice.PEM(), 0, []string{"--json", "-"}, 0, `"pam": "PAM_SUCCESS"`},
		{"nothing", nil, 0, []string{"-"}, 1, "this is not a certificate, neither in PEM nor in DER"},
		{"a key alone", alice.KeyPEM(), 0, []string{"-"}, 1, "this is not a certificate"},
		{"cut short", alice.DER[:100], 0, []string{"-"}, 1, "this is not a certificate"},
		{"an ordinary user", alice.PEM(), 61001, []string{"-"}, 1, "SSSD answers root only: try again as root"},
		{"no file", nil, 0, []string{"/nonexistent"}, 1, "/nonexistent: no such file"},
		{"none named", nil, 0, nil, 2, "name one certificate"},
		{"another root", nil, 0, []string{"--root", "/mnt", "-"}, 2, "cannot be used with --root"},
		{"no fingerprint", nil, 0, []string{"--instance", "abc"}, 1, "give a SHA-256 fingerprint"},
		{"a fingerprint that nobody presents", nil, 0, []string{"--instance", alice.Fingerprint()}, 1, "Cockpit has to be open in a browser that presents it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, status := command(t, test.stdin, test.user, append([]string{"check"}, test.args...)...)
			wants(t, output, test.want)
			if status != test.exit {
				t.Errorf("exit status %d: %s", status, output)
			}
		})
	}
	t.Run("a fingerprint that a browser presents", func(t *testing.T) {
		cockpittls.Export(t, cockpittls.From257, alice)
		var pairs []string // as OpenSSL prints it
		for pair := range slices.Chunk([]byte(strings.ToUpper(alice.Fingerprint())), 2) {
			pairs = append(pairs, string(pair))
		}
		for _, fingerprint := range []string{alice.Fingerprint(), strings.Join(pairs, ":")} {
			output, status := command(t, nil, 0, "check", "--instance", fingerprint)
			wants(t, output, "result       success")
			if status != 0 {
				t.Errorf("%s: exit status %d", fingerprint, status)
			}
		}
	})
}

// A login depends not only on the certificate, but also on the account stack and the
// shell.
func TestCheckSaysWhatTheAccountIsGoodFor(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	const rules = "auth required pam_deny.so\naccount required pam_unix.so\n"
	for _, test := range []struct {
		name, service, change string
		wants                 []string
		exit                  int
	}{
		{"all is well", rules, "", []string{"result       success (PAM_SUCCESS)"}, 0},
		{"an expired account", rules, "chage -E 2020-01-01 alice", []string{"result       refused (PAM_ACCT_EXPIRED)", "the account stack of the PAM service cockpit refuses that user: ", "chage -l alice says when"}, 1},
		{"an expired password", rules, "chage -d 0 alice", []string{"result       refused (PAM_NEW_AUTHTOK_REQD)", "the user has to change the password elsewhere"}, 1},
		{"a rule against the user", "account required pam_listfile.so item=user sense=deny file=/etc/refused onerr=fail\n", "echo alice >/etc/refused", []string{"result       refused (PAM_AUTH_ERR)"}, 1},
		{"a module that speaks", "account required pam_nologin.so\n", "echo closed for today >/etc/nologin", []string{"result       refused (PAM_AUTH_ERR)", "it says: closed for today"}, 1},
		{"no such service", "", "rm -f /etc/pam.d/cockpit", []string{"result       success", "WARNING      whether the account may log in was not tried: there is no PAM service cockpit"}, 0},
		{"no shell", rules, "usermod -s /usr/sbin/nologin alice", []string{"result       refused (PAM_SUCCESS)", "whose shell /usr/sbin/nologin cannot be used"}, 1},
		{"a shell that is gone", rules, "usermod -s /opt/zsh alice", []string{"result       refused", "whose shell /opt/zsh cannot be used: stat /opt/zsh: no such file"}, 1},
		{"an unusual shell", rules, "cp /bin/true /etc/odd; usermod -s /etc/odd alice", []string{"result       success", "WARNING      /etc/odd, the shell of alice, is not in /etc/shells"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.AddUser("alice", 61001)
			write(t, "/etc/pam.d/cockpit", test.service, 0o644)
			if out, err := exec.Command("sh", "-ec", "pwconv; "+test.change).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			s.Start(config(t, ""))
			output, status := command(t, alice.PEM(), 0, "check", "-")
			wants(t, output, test.wants...)
			if status != test.exit {
				t.Errorf("exit status %d: %s", status, output)
			}
		})
	}
}
