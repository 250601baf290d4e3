// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package admin

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// verifying returns a configuration with options of certificate_verification.
func verifying(t *testing.T, options string) string {
	return strings.Replace(config(t, ""), "[sssd]\n", "[sssd]\ncertificate_verification = "+options+"\n", 1)
}

// With no_verification an attacker can log in as any user, with a self-made
// certificate, although SSSD's method is called FindByValidCertificate.
func TestAnSSSDThatAcceptsStrangersIsBroken(t *testing.T) {
	namespace.Need(t)
	s := sssd.New(t, pki.NewAuthority("Lab CA").PEM())
	s.AddUser("alice", 61001)
	s.Start(verifying(t, "no_ocsp, No_Verification"))
	output, status := command(t, nil, 0, "status")
	matches(t, output, `BROKEN +validation: SSSD accepts certificates of any issuer: it did not refuse a self-signed one`+
		` the cause is no_verification in certificate_verification, line 2 of /etc/sssd/sssd.conf\n +-> remove it`)
	if status != 1 {
		t.Errorf("exit status %d", status)
	}
	output, status = command(t, pki.SelfSigned("alice").PEM(), 0, "check", "-")
	wants(t, output, "result       success", "WARNING      SSSD accepts certificates of any issuer, also self-signed ones")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// list makes a revocation list that expires at a time.
func list(t *testing.T, ca *pki.Authority, end time.Time) []byte {
	t.Helper()
	issuer, err := x509.ParseCertificate(ca.DER)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(ca.KeyDER)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: end.Add(-time.Hour), NextUpdate: end}, issuer, key.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func crlPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// With a revocation list that it cannot use, SSSD rejects every certificate.
func TestRevocationListsThatLockEverybodyOut(t *testing.T) {
	namespace.Need(t)
	ca, other := pki.NewAuthority("Lab CA"), pki.NewAuthority("Other CA")
	const file = "/etc/sssd/pki/crl.pem"
	good, expired := list(t, ca, time.Now().Add(time.Hour)), list(t, ca, time.Now().Add(-time.Minute))
	for _, test := range []struct {
		name, text, options string
		status              []string
		check               string
	}{
		{"missing", "", "", []string{`BROKEN +revocation-lists: ` + file + ` does not exist: SSSD refuses every certificate SSSD uses it by certificate_verification, line 2 of /etc/sssd/sssd.conf`,
			`BROKEN +authorities: 1 in .*, all of which SSSD calls invalid`}, "the revocation list " + file + " does not exist"},
		{"expired", crlPEM(expired), "", []string{`BROKEN +revocation-lists: .* has a list of CN=Lab CA,O=Lab that expired on .*: SSSD refuses every certificate of that authority`,
			`BROKEN +authorities: .*OpenSSL says of it: CRL has expired`}, "the revocation list of its issuer in " + file + " has expired"},
		{"another authority's", crlPEM(list(t, other, time.Now().Add(time.Hour))), "", []string{`ok +revocation-lists: 1 in `,
			`BROKEN +authorities: .*OpenSSL says of it: unable to get certificate CRL`}, "there is no revocation list of its issuer in " + file},
		{"in DER", string(good), "", []string{`BROKEN +revocation-lists: .* is in DER, which SSSD cannot read(.|\n)*\$ openssl crl -inform DER -in ` + file + ` -out ` + file}, ""},
		{"good", crlPEM(good), "", []string{`ok +revocation-lists: 1 in ` + file, `ok +authorities: 1 in `}, "success"},
		{"expired, and soft_crl", crlPEM(expired), ", soft_crl", []string{`warning +revocation-lists: .*: what was revoked since is not known`}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.AddUser("alice", 61001)
			if test.text != "" {
				s.Write(file, test.text)
			}
			s.Start(verifying(t, "crl_file="+file+test.options))
			output, _ := command(t, nil, 0, "status")
			matches(t, output, test.status...)
			output, _ = command(t, ca.Issue("alice").PEM(), 0, "check", "-")
			wants(t, output, test.check)
		})
	}
}

// OpenSSL, and so SSSD, accepts authorities that Go rejects: only SSSD's answer counts.
func TestSSSDJudgesAuthoritiesAndNobodyElse(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	dir := t.TempDir()
	for _, command := range []string{
		"req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj /O=Lab/CN=Odd -set_serial -5 -days 30 -out ca.pem",
		"req -newkey rsa:2048 -nodes -keyout alice.key -subj /O=Lab/CN=alice -out alice.csr",
		"x509 -req -in alice.csr -CA ca.pem -CAkey ca.key -set_serial 7 -days 10 -out alice.pem",
	} {
		openssl := exec.Command("openssl", strings.Fields(command)...)
		openssl.Dir = dir
		if out, err := openssl.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	s := sssd.New(t, append(read("ca.pem"), pki.NewAuthority("Lab CA").PEM()...))
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `ok +authorities: 2 in `)
	output, status := command(t, read("alice.pem"), 0, "check", "-")
	wants(t, output, "subject      CN=alice,O=Lab", "issuer       CN=Odd,O=Lab", "result       success")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	// If SSSD accepts the chain, there is no warning about it.
	s.AddUser("bob", 61002)
	s.Write(sssd.Config, config(t, ""))
	output, _ = command(t, read("ca.pem"), 0, "check", "-")
	wants(t, output, "SSSD knows no user by this certificate", "looked for in domain local")
	if strings.Contains(output, "issuer CN=") || strings.Contains(output, "OpenSSL") {
		t.Errorf("a chain that SSSD accepts is doubted:\n%s", output)
	}

	// SSSD accepts no certificate of an authority that it rejects.
	s.Write(sssd.Authority, string(read("ca.pem"))+string(pki.NewAuthority("Lab CA").Issue("stray").PEM()))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `BROKEN +authorities: 2 in .*, 1 of which SSSD calls invalid: CN=stray,O=Lab CN=Lab CA,O=Lab, the issuer of CN=stray,O=Lab, is missing in `)
}

func TestAuthoritiesInAnotherFormAreNamedSo(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(verifying(t, "no-ocsp, ocsp_dgst=sha256"))
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `warning +sssd-settings: certificate_verification, line 2 of /etc/sssd/sssd.conf, has no-ocsp, which is not an option in sssd.conf\(5\)`)
	p7 := exec.Command("openssl", "crl2pkcs7", "-nocrl", "-certfile", sssd.Authority)
	bundle, err := p7.Output()
	if err != nil {
		t.Skipf("needs openssl: %v", err)
	}
	for _, test := range []struct{ text, want string }{
		{string(ca.DER), `BROKEN +authorities: .* is in DER, which SSSD cannot read\n +-> openssl x509 -inform DER -in `},
		{string(bundle), `BROKEN +authorities: .* is in PKCS #7, which SSSD cannot read\n +-> openssl pkcs7 -print_certs -in `},
		{"\xff\xfe-\x00", `BROKEN +authorities: .* is in UTF-16`},
		{string(ca.KeyPEM()), `BROKEN +authorities: .* is in PEM of the type PRIVATE KEY`},
		{"\ufeff" + string(ca.PEM()), `BROKEN +authorities: .* begins with a byte order mark, which hides its first certificate from SSSD\n +\$ sed -i '1s/`},
		// OpenSSL reads none of the certificates of these.
		{strings.TrimSpace(string(ca.PEM())) + string(ca.PEM()), `BROKEN +authorities: the certificate in line \d+ of .* is malformed, so that SSSD may read none there`},
		{string(ca.PEM()) + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", `BROKEN +authorities: the certificate in line \d+ of .* is malformed`},
		{"  " + strings.ReplaceAll(string(ca.PEM()), "\n", "\n  "), `BROKEN +authorities: the certificate in line 1 of .* is malformed`},
		{string(ca.PEM()[:len(ca.PEM())-60]), `BROKEN +authorities: the certificate in line 1 of .* is malformed`},
		// SSSD reads these.
		{string(ca.KeyPEM()) + "note\n" + string(ca.PEM()), `ok +authorities: 1 in `},
		{strings.ReplaceAll(string(ca.PEM()), "\n", "\r\n"), `ok +authorities: 1 in `},
	} {
		s.Write(sssd.Authority, test.text)
		output, _ := command(t, nil, 0, "status")
		matches(t, output, test.want)
		if strings.Contains(test.want, "malformed") {
			output, _ = command(t, ca.Issue("alice").PEM(), 0, "check", "-")
			wants(t, output, "is malformed, so that SSSD may read none there", "each certificate begins and ends on lines of its own")
		}
	}
}

// sssd.conf is read like SSSD, and what SSSD ignores is reported.
func TestStatusReadsTheConfigurationAsSSSDDoes(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, pki.NewAuthority("Other CA").PEM())
	s.AddUser("alice", 61001)
	s.Write("/etc/sssd/other.pem", string(ca.PEM()))
	s.Write("/etc/sssd/conf.d/10.conf", "[ifp]\nca_db = /nonexistent.pem\n")
	if err := os.Chmod("/etc/sssd/conf.d/10.conf", 0o644); err != nil {
		t.Fatal(err)
	}
	s.Start(config(t, "[ IFP ]\nCA_db = /etc/sssd/other.pem\n"))
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `ok +authorities: 1 in /etc/sssd/other.pem`,
		`warning +sssd-snippets: SSSD ignores /etc/sssd/conf.d/10.conf: its mode has to be 600, and is 644`)
	output, _ = command(t, ca.Issue("alice").PEM(), 0, "check", "-")
	wants(t, output, "result       success")

	// SSSD silently ignores a misspelled setting.
	if _, err := exec.LookPath("sssctl"); err != nil {
		t.Skip("needs sssd-tools")
	}
	s.Write(sssd.Config, strings.Replace(config(t, ""), "[sssd]\n", "[sssd]\ncertificate_verfication = no_ocsp\n", 1))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `warning +sssd-settings: Attribute 'certificate_verfication' is not allowed in section 'sssd'. Check for typos\n +-> .*\n +\$ sssctl config-check$`)
	s.Write(sssd.Config, config(t, "[ifp]\nca_db = /etc/sssd/other.pem\n"))
	if output, _ = command(t, nil, 0, "status"); strings.Contains(output, "sssd-settings") {
		t.Errorf("a setting that SSSD reads is doubted:\n%s", output)
	}
}

// The domains are those that SSSD serves. It only reads sssd.conf when it starts.
func TestDomainsAreThoseThatSSSDServes(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("sssctl"); err != nil {
		t.Skip("needs sssd-tools")
	}
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.Start(config(t, ""))
	mallory := ca.Issue("mallory").PEM()
	if output, _ := command(t, nil, 0, "status"); strings.Contains(output, "sssd-domains") {
		t.Errorf("there is nothing to say about the domains:\n%s", output)
	}
	if output, _ := command(t, mallory, 0, "check", "-"); strings.Contains(output, "sssd.conf") {
		t.Errorf("there is nothing to say about the domains:\n%s", output)
	}
	s.Write(sssd.Config, strings.Replace(config(t, ""), "domains = local", "domains = local, later", 1)+
		sssd.LocalDomain(t, "later")+"[certmap/later/mallory]\nmatchrule = <SUBJECT>^CN=mallory,O=Lab$\n")
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `warning +sssd-domains: SSSD does not serve later, which sssd.conf has\n +-> .*\n +\$ systemctl restart sssd$`)
	output, _ = command(t, mallory, 0, "check", "-")
	wants(t, output, "not looked for in domain later, which SSSD does not serve, though sssd.conf has it", "looked for in domain local, rule alice: ", "systemctl restart sssd")
	if strings.Contains(output, "rule mallory") {
		t.Errorf("a rule is shown that SSSD does not know yet:\n%s", output)
	}
}

// Some configurations have a rule for each user.
func TestCheckShowsOfManyRulesWhatMatters(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	var rules strings.Builder
	for i := range 300 {
		fmt.Fprintf(&rules, "[certmap/local/u%d]\nmatchrule = <SUBJECT>^CN=u%d,O=Lab$\n", i, i)
	}
	s.Start(config(t, rules.String()+"[certmap/local/gone]\nmatchrule = <SUBJECT>^CN=gone,O=Lab$\n"))
	output, _ := command(t, ca.Issue("mallory").PEM(), 0, "check", "-")
	wants(t, output, "looked for in domain local, rule u0: ", "more rules of the domain local")
	if lines := strings.Count(output, "\n"); lines > 20 {
		t.Errorf("%d lines:\n%s", lines, output)
	}
}

// A tool of another package that hangs, and leaves a child with its output open, is not
// waited for: only a part of the answer is missing.
func TestCheckEndsWhereAToolDoesNot(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.Start(config(t, ""))
	dir := t.TempDir()
	for _, name := range []string{"sssctl", "openssl"} {
		write(t, filepath.Join(dir, name), "#!/bin/sh\nsleep 60 &\nwait\n", 0o755)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, test := range []struct {
		name        string
		certificate pki.Certificate
		wants       string
	}{
		{"sssctl", ca.Issue("mallory"), "looked for in domain local, rule alice: if <SUBJECT>^CN=alice,O=Lab$ matches"},
		{"openssl", pki.NewAuthority("Other CA").Issue("alice"), "its issuer CN=Other CA,O=Lab is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			check := exec.CommandContext(ctx, pamhost.Built(t, "pam-cockpit-cert"), "check", "-")
			check.Stdin = bytes.NewReader(test.certificate.PEM())
			output, _ := check.CombinedOutput()
			if ctx.Err() != nil {
				t.Fatalf("it waits for %s: %s", test.name, output)
			}
			wants(t, string(output), test.wants)
		})
	}
}
