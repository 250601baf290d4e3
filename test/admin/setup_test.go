// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package admin

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// TestSetup checks that after one command on a fresh install SSSD maps the certificate
// to the user, and that this can be undone.
func TestSetup(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice, renewed, mallory := ca.Issue("alice"), ca.Issue("alice"), ca.Issue("mallory")
	s := sssd.New(t, nil)
	s.AddUser("alice", 61001)
	s.AddUser("bob", 61002)
	for _, name := range []string{sssd.Authority, sssd.Config} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authorities := file("ca.pem", append(append([]byte("a note\n"), ca.KeyPEM()...), ca.PEM()...))
	setup := []string{"setup", "--ca", authorities, "--local", "alice=" + file("alice.pem", alice.PEM())}
	installed(t)
	const snippet = "/etc/sssd/conf.d/50-pam_cockpit_cert.conf"

	output, status := command(t, nil, 0, append(setup, "--dry-run")...)
	if wants(t, output, "+matchrule = <ISSUER>^CN=Lab CA,O=Lab$<SUBJECT>^CN=alice,O=Lab$", "+ClientCertAuthentication = true"); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, err := os.Stat(snippet); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("--dry-run wrote %s: %v", snippet, err)
	}

	if output, status := command(t, nil, 0, append(setup, "--json")...); status != 0 {
		t.Fatalf("exit status %d\n%s", status, output)
	} else {
		wants(t, output, "\"wrote\": [\n    \""+sssd.Authority+"\",\n    \""+snippet+"\"\n  ]",
			"\"restart\": [\n    \"systemctl restart sssd\",\n    \"systemctl try-restart cockpit\"\n  ]")
	}
	if output, status := command(t, nil, 0, setup...); status != 0 || strings.Contains(output, "wrote") || strings.Contains(output, "restart") {
		t.Fatalf("the second time there is nothing left to do: exit status %d\n%s", status, output)
	}
	if text, err := os.ReadFile(sssd.Authority); err != nil || !bytes.Equal(text, ca.PEM()) {
		t.Errorf("the authorities are %q, %v", text, err)
	}
	s.Start("[nss]\n") // what is needed is in the snippet
	for certificate, want := range map[*pki.Certificate]string{&alice: "success", &renewed: "success", &mallory: "user_unknown"} {
		output, _ := command(t, certificate.PEM(), 0, "check", "-")
		wants(t, output, want)
	}

	// Files that others have written are not changed.
	for name, refused := range map[string][]string{
		"is there, and lacks an authority":                   {"setup", "--ca", file("other.pem", pki.NewAuthority("Other CA").PEM())},
		"which is not an authority":                          {"setup", "--ca", file("leaf.pem", alice.PEM())},
		"has a malformed certificate in line 1: ":            {"setup", "--ca", file("cut.pem", append([]byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), ca.PEM()...))},
		"has no certificate in PEM":                          {"setup", "--ca", file("empty.pem", nil)},
		"SSSD maps no certificate to root":                   {"setup", "--ca", authorities, "--local", "root=" + filepath.Join(dir, "alice.pem")},
		"alice and bob have certificates with the same name": {"setup", "--ca", authorities, "--local", "bob=" + filepath.Join(dir, "alice.pem")},
		"alice has two certificates with different names":    {"setup", "--ca", authorities, "--local", "alice=" + filepath.Join(dir, "alice.pem"), "--local", "alice=" + file("mallory.pem", mallory.PEM())},
		"was issued by CN=Other CA,O=Lab, which is not in":   {"setup", "--ca", authorities, "--local", "bob=" + file("bob.pem", pki.NewAuthority("Other CA").Issue("bob").PEM())},
		"this system does not know the user nobody-such":     {"setup", "--ca", authorities, "--local", "nobody-such=" + filepath.Join(dir, "alice.pem")},
		"has to be USER=CERT":                                {"setup", "--ca", authorities, "--local", "alice"},
	} {
		output, status := command(t, nil, 0, refused...)
		if wants(t, output, name); status == 0 {
			t.Errorf("%v succeeds", refused)
		}
	}

	// A snippet that was changed by hand stays as it is, also when another user is added.
	text, err := os.ReadFile(snippet)
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Replace(text, []byte("services = nss, ifp"), []byte("services = nss, ifp, pam"), 1)
	bob := append(setup, "--local", "bob="+file("bob.pem", ca.Issue("bob").PEM()))
	s.Write(snippet, string(edited))
	output, status = command(t, nil, 0, bob...)
	if wants(t, output, snippet+" was changed by hand"); status == 0 {
		t.Error("it changes a snippet that was changed by hand")
	}
	if now, err := os.ReadFile(snippet); err != nil || !bytes.Equal(now, edited) {
		t.Errorf("the snippet that was changed by hand is now %q, %v", now, err)
	}
	s.Write(snippet, string(text))
	if output, status := command(t, nil, 0, bob...); status != 0 {
		t.Fatalf("exit status %d\n%s", status, output)
	}
	if now, err := os.ReadFile(snippet); err != nil || !bytes.Contains(now, []byte("[certmap/local/alice]")) || !bytes.Contains(now, []byte("[certmap/local/bob]")) {
		t.Errorf("the snippet for both is %q, %v", now, err)
	}

	if output, status := command(t, nil, 0, "disable"); status != 0 {
		t.Errorf("exit status %d\n%s", status, output)
	}
	for _, name := range []string{snippet, sssd.Authority} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("disable left %s: %v", name, err)
		}
	}

	s.Write(sssd.Config, "[sssd]\ndomains = lab.test\n[domain/lab.test]\nid_provider = ldap\n")
	output, status = command(t, nil, 0, setup...)
	if wants(t, output, "SSSD has the domain lab.test already"); status == 0 {
		t.Error("it changes SSSD's configuration of others")
	}
	if _, err := os.Stat(sssd.Authority); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is refused, and wrote %s: %v", sssd.Authority, err)
	}
}

// The certificate of an authority may be in each form that people have. And setup may end
// after it has remembered what it is about to write.
func TestSetupReadsEveryFormAndIsInterrupted(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, nil)
	s.AddUser("alice", 61001)
	installed(t)
	dir := t.TempDir()
	given, alice := filepath.Join(dir, "ca"), filepath.Join(dir, "alice")
	for name, text := range map[string][]byte{
		"DER": ca.DER, "a byte order mark": append([]byte("\ufeff"), ca.PEM()...), "Windows' line ends": bytes.ReplaceAll(ca.PEM(), []byte("\n"), []byte("\r\n")),
	} {
		if err := errors.Join(os.WriteFile(given, text, 0o600), os.Remove(sssd.Authority)); err != nil {
			t.Fatal(err)
		}
		if output, status := command(t, nil, 0, "setup", "--ca", given); status != 0 {
			t.Errorf("%s: exit status %d\n%s", name, status, output)
		}
		if now, err := os.ReadFile(sssd.Authority); err != nil || !bytes.Equal(now, ca.PEM()) {
			t.Errorf("%s: the authorities are %q, %v", name, now, err)
		}
	}
	for form, text := range map[string]string{"PKCS #7": "-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n"} {
		write(t, given, text, 0o600)
		output, status := command(t, nil, 0, "setup", "--ca", given)
		if wants(t, output, "the file for --ca is in "+form+"; convert it: openssl "); status == 0 {
			t.Error("it succeeds")
		}
	}

	write(t, given, string(ca.PEM()), 0o600)
	write(t, alice, string(ca.Issue("alice").PEM()), 0o600)
	const snippet, record = "/etc/sssd/conf.d/50-pam_cockpit_cert.conf", "/var/lib/pam_cockpit_cert/SETUP.json"
	if output, status := command(t, nil, 0, "setup", "--ca", given, "--local", "alice="+alice); status != 0 {
		t.Fatal(output)
	}
	before, err := os.ReadFile(snippet)
	if err != nil {
		t.Fatal(err)
	}
	write(t, alice, string(ca.Issue("alice smith").PEM()), 0o600)
	if output, status := command(t, nil, 0, "setup", "--ca", given, "--local", "alice="+alice); status != 0 {
		t.Fatal(output)
	}
	if text, err := os.ReadFile(record); err != nil || !bytes.Contains(text, []byte(snippet[1:])) {
		t.Fatalf("the record is %q, %v", text, err)
	}
	s.Write(snippet, string(before)) // as if the second run had ended before it wrote it
	if output, status := command(t, nil, 0, "disable"); status != 0 {
		t.Errorf("exit status %d\n%s", status, output)
	}
	if _, err := os.Stat(snippet); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("disable left the snippet: %v", err)
	}
}

// installed adds Cockpit and the package's files to the system.
func installed(t *testing.T) {
	t.Helper()
	namespace.Copy(t, "/usr/lib/cockpit")
	write(t, "/usr/lib/cockpit/cockpit-ws", "#!/bin/sh\n", 0o755)
	namespace.Copy(t, "/usr/libexec")
	write(t, "/usr/libexec/pam_cockpit_cert/cockpit-cert-session", "#!/bin/sh\n", 0o755)
	rule(t, pamhost.Built(t, "pam_cockpit_cert.so"))
	if err := os.RemoveAll("/etc/cockpit"); err != nil {
		t.Fatal(err)
	}
}
