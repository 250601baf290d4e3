// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package admin

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// lacks looks for texts that the output must not have.
func lacks(t *testing.T, output string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(output, text) {
			t.Errorf("there is %q in\n%s", text, output)
		}
	}
}

// SSSD asks the OCSP responder of a user's certificate, and not those of its issuers.
func TestResponders(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dead := "http://127.0.0.1:1/"
	root := pki.NewAuthority("Lab CA")
	issuer := root.Intermediate("Users CA", pki.Responder(dead))
	other := root.Intermediate("Other CA", pki.Responder("http://"+silent.Addr().String()+"/"))
	trusted := string(root.PEM()) + string(issuer.PEM()) + string(other.PEM())
	s := sssd.New(t, []byte(trusted))
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `ok +authorities: 3 in `)
	output, status := command(t, issuer.Issue("alice").PEM(), 0, "check", "-")
	if wants(t, output, "result       success"); status != 0 {
		t.Errorf("exit status %d", status)
	}
	output, _ = command(t, issuer.Issue("alice", pki.Responder(dead)).PEM(), 0, "check", "-")
	wants(t, output, "OpenSSL finds nothing wrong with it", "does the OCSP responder "+dead+" say that it was revoked, or not answer?")

	// A broken chain is found nevertheless.
	s.Write(sssd.Authority, string(issuer.PEM()))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `BROKEN +authorities: 1 in .*, all of which SSSD calls invalid CN=Lab CA,O=Lab, the issuer of CN=Users CA,O=Lab, is missing in `+
		sssd.Authority+`\n +-> append the certificate of CN=Lab CA,O=Lab to `)
	output, _ = command(t, issuer.Issue("alice").PEM(), 0, "check", "-")
	wants(t, output, "CN=Lab CA,O=Lab, the issuer of CN=Users CA,O=Lab, is missing in "+sssd.Authority, "partial_chain")
	lacks(t, output, "OCSP")
}

// With a responder for every certificate, SSSD also asks it about an authority.
func TestAResponderForEveryCertificate(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.Start(verifying(t, "ocsp_default_responder=http://127.0.0.1:1/, ocsp_default_responder_signing_cert=/etc/sssd/ocsp.pem"))
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `BROKEN +authorities: .* or to ask the OCSP responder http://127.0.0.1:1/$`)
	output, _ = command(t, ca.Issue("alice").PEM(), 0, "check", "-")
	wants(t, output, "does the OCSP responder http://127.0.0.1:1/ say that it was revoked, or not answer?")
}

// The signature's digest may be the reason, and not the issuer.
func TestADigestThatTheSystemDoesNotAllow(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	dir := t.TempDir()
	for name, text := range map[string][]byte{"ca.pem": ca.PEM(), "ca.key": ca.KeyPEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, arguments := range []string{
		"req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj /O=Lab/CN=Old -days 30 -out ca.pem",
		"req -newkey rsa:2048 -nodes -keyout alice.key -subj /O=Lab/CN=alice -out alice.csr",
		"x509 -req -in alice.csr -CA ca.pem -CAkey ca.key -set_serial 7 -days 10 -md4 -provider legacy -provider default -out alice.pem",
	} {
		openssl := exec.Command("openssl", strings.Fields(arguments)...)
		openssl.Dir = dir
		if out, err := openssl.CombinedOutput(); err != nil {
			t.Skipf("no OpenSSL that signs with MD4 here: %v: %s", err, out)
		}
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s := sssd.New(t, authority)
	s.Start(config(t, ""))
	output, _ := command(t, nil, 0, "check", filepath.Join(dir, "alice.pem"))
	wants(t, output, "OpenSSL cannot verify its signature, with the digest MD4: this system may not allow that digest")
	lacks(t, output, "did not sign it")
}

// An SSSD that does not start says why only in its journal.
func TestStatusSaysWhyAnSSSDDoesNotStart(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice").PEM()
	for _, test := range []struct {
		name, config, change, fix, check string
	}{
		{"a mode", config(t, ""), "chmod 644 /etc/sssd/sssd.conf",
			`SSSD refuses /etc/sssd/sssd.conf: its mode has to be 600, and is 644\n +\$ chmod 600 /etc/sssd/sssd.conf$`, "next         chmod 600 /etc/sssd/sssd.conf"},
		{"an owner", config(t, ""), "chown 61001 /etc/sssd/sssd.conf",
			`SSSD refuses /etc/sssd/sssd.conf: it has to be root's, .*\n +\$ chown root:root /etc/sssd/sssd.conf$`, "next         chown root:root"},
		{"no domain", "[sssd]\nservices = nss, ifp\n", "", `SSSD has no domain`, "next         SSSD has no domain"},
		{"a domain without a section", "[sssd]\ndomains = lab\n[domian/lab]\n", "", `SSSD has no domain: domains in the section \[sssd\] .* names none that has a section`, "SSSD has no domain"},
		{"a malformed line", "[sssd]\ndomains = lab,\n  lab2\n", "", `correct /etc/sssd/sssd.conf: line 3: there is no = in it`, "next         correct /etc/sssd/sssd.conf: line 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.Write(sssd.Config, test.config)
			if out, err := exec.Command("sh", "-ec", test.change).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			// SSSD itself refuses that; another release may not.
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if out, err := exec.CommandContext(ctx, "/usr/sbin/sssd", "-i", "--logger=stderr").CombinedOutput(); err == nil || ctx.Err() != nil {
				t.Skipf("this SSSD starts: %s", out)
			}
			s.StartBus()
			output, _ := command(t, nil, 0, "status")
			matches(t, output, `BROKEN +sssd: .*\n +-> `+test.fix)
			output, _ = command(t, alice, 0, "check", "-")
			wants(t, output, test.check)
		})
	}
}

// The file that a message names is the one in which SSSD looks.
func TestWhereSSSDLooksForAuthorities(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	for _, test := range []struct {
		name, setting, status, check string
	}{
		{"another file", "[ifp]\nca_db = /etc/lab.pem\n", `BROKEN +validation: .*\n +-> put the issuers' certificates into /etc/lab.pem; that file is ca_db, line \d+ of /etc/sssd/sssd.conf$`,
			"next         put the issuers' certificates into /etc/lab.pem"},
		{"quotes", "[ifp]\nca_db = \"/etc/lab.pem\"\n", `BROKEN +authorities: SSSD looks for them in "/etc/lab.pem", which is not a path from / it is ca_db, line \d+ of `, ""},
		{"a comment", "[ifp]\nca_db = /etc/lab.pem # ours\n", `BROKEN +authorities: /etc/lab.pem # ours does not exist\n +-> .*put the comment on a line of its own`, ""},
		{"a directory", "[ifp]\nca_db = /etc/ssl\n", `BROKEN +authorities: /etc/ssl: not a regular file\n +-> ca_db in the section \[ifp\] has to name a file`, ""},
		{"pam_sss's setting", "[pam]\npam_cert_db_path = /etc/lab.pem\n", `BROKEN +authorities: ` + sssd.Authority + ` does not exist pam_cert_db_path, line \d+ of /etc/sssd/sssd.conf, is for other services; for Cockpit, ca_db in the section \[ifp\] counts`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			if err := os.Remove(sssd.Authority); err != nil {
				t.Fatal(err)
			}
			s.Start(config(t, test.setting))
			output, status := command(t, nil, 0, "status")
			if matches(t, output, test.status); status != 1 {
				t.Errorf("exit status %d", status)
			}
			output, _ = command(t, ca.Issue("alice").PEM(), 0, "check", "-")
			wants(t, output, test.check)
		})
	}
}

// An InfoPipe that hides a user's name or user ID lets nobody log in.
func TestStatusKnowsHiddenAttributes(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(config(t, "[ifp]\nuser_attributes = +mail, -name, -uidNumber, -gecos\n"))
	output, status := command(t, nil, 0, "status")
	matches(t, output, `BROKEN +sssd-settings: user_attributes, line \d+ of /etc/sssd/sssd.conf, hides name and uidNumber, which every login needs`)
	if status != 1 {
		t.Errorf("exit status %d", status)
	}
	output, _ = command(t, ca.Issue("alice").PEM(), 0, "check", "-")
	wants(t, output, "result       service_err")
	s.Write(sssd.Config, config(t, "[ifp]\nuser_attributes = +name, -gecos\n"))
	output, _ = command(t, nil, 0, "status")
	lacks(t, output, "user_attributes")
}

// SSSD silently ignores a rule with a mistake.
func TestStatusKnowsRulesThatMapNobody(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("sssctl"); err != nil {
		t.Skip("needs sssd-tools")
	}
	ca := pki.NewAuthority("Lab CA")
	const good = "[certmap/local/alice]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n"
	for _, test := range []struct {
		name, rules string
		status      string // "" for nothing to report
		check       string
	}{
		{"all is well", good, "", "result       success"},
		{"in another case", strings.Replace(good, "local", "LOCAL", 1), "", "result       success"},
		{"no rule", "", `BROKEN +sssd-rules: no rule maps a certificate to a user of this system\n`, "result       user_unknown"},
		{"a component that does not exist", strings.Replace(good, "SUBJECT", "SUBJCT", 1),
			`BROKEN +sssd-rules: no rule maps .*: \[certmap/local/alice\] has a mistake in <SUBJCT>`, "has a mistake, so that SSSD ignores the rule"},
		{"a malformed expression", good + "[certmap/local/bob]\nmatchrule = <SUBJECT>^(CN=bob\n", `warning +sssd-rules: \[certmap/local/bob\] has a mistake in <SUBJECT>\^\(CN=bob\n`, "result       success"},
		{"another domain", strings.Replace(good, "local", "implicit_files", 1),
			`BROKEN +sssd-rules: no rule maps .*: \[certmap/implicit_files/alice\] is for a domain that SSSD does not have`, "result       user_unknown"},
		{"a user who does not exist", strings.Replace(good, "local/alice", "local/alicia", 1),
			`BROKEN +sssd-rules: no rule maps .*: \[certmap/local/alicia\] is for a user whom this system does not have`,
			"next         the section of the rule alicia is for a user whom this system does not have"},
		{"root", good + "[certmap/local/root]\nmatchrule = <SUBJECT>^CN=root,O=Lab$\n", `warning +sssd-rules: \[certmap/local/root\] is for root, to whom SSSD maps no certificate\n`, "result       success"},
		{"a misspelled matchrule", strings.Replace(good, "matchrule", "match_rule", 1), `warning +sssd-rules: \[certmap/local/alice\] means alice by every client certificate that SSSD trusts\n`, "result       success"},
		{"a matchrule for everybody", strings.Replace(good, "^CN=alice,O=Lab$", ".*", 1), `warning +sssd-rules: \[certmap/local/alice\] means alice by every client certificate`, "result       success"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.AddUser("alice", 61001)
			s.AddUser("bob", 61002)
			s.Start(sssd.Mapping(t) + test.rules)
			output, _ := command(t, nil, 0, "status")
			if matches(t, output, test.status); test.status == "" {
				lacks(t, output, "sssd-rules")
			}
			output, _ = command(t, ca.Issue("alice").PEM(), 0, "check", "-")
			wants(t, output, test.check)
		})
	}
}

// A service without the module's rule makes no login.
func TestCheckWarnsOfAServiceWithoutTheRule(t *testing.T) {
	namespace.Need(t)
	const warning = "WARNING      no login reaches the module: the PAM service cockpit does not have its rule"
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	alice := ca.Issue("alice").PEM()
	write(t, "/etc/pam.d/cockpit", "", 0o644)
	output, _ := command(t, alice, 0, "check", "-")
	wants(t, output, warning)
	rule(t, "/run/pam_cockpit_cert.so")
	output, _ = command(t, alice, 0, "check", "-")
	lacks(t, output, warning)
}

// Cockpit also reads cockpit.conf in the directories of XDG_CONFIG_DIRS, and the last
// one counts.
func TestStatusKnowsAConfigurationThatCountsMore(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	const config, other = "/etc/cockpit/cockpit.conf", "/run/xdg/cockpit/cockpit.conf"
	write(t, config, "[WebService]\nClientCertAuthentication = true\n", 0o644)
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "/run/cockpit-tls", string(sleep), 0o755)
	process := exec.Command("/run/cockpit-tls", "600")
	process.Env = []string{"XDG_CONFIG_DIRS=/etc:/run/xdg"}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait(); os.RemoveAll("/run/xdg") })
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `ok +certificates: on in Cockpit, by line 2 of `+config)
	for text, want := range map[string]string{
		"[WebService]\nLoginTitle = Lab\n":                 `ok +certificates: on in Cockpit`,
		"[WebService]\nClientCertAuthentication = false\n": `BROKEN +certificates: off in Cockpit: line 2 of ` + other + ` says "false" Cockpit reads that file last, by XDG_CONFIG_DIRS`,
		"words\n": `BROKEN +certificates: off in Cockpit: ` + other + `: line 1: it is neither`,
	} {
		write(t, other, text, 0o644)
		output, _ := command(t, nil, 0, "status")
		matches(t, output, want)
	}
}
