// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/pki"
)

func TestFilesOfOtherKindsAreExplained(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	dir := t.TempDir()
	alice := pki.NewAuthority("Lab CA").Issue("alice")
	for name, text := range map[string][]byte{"cert.pem": alice.PEM(), "key.pem": alice.KeyPEM(), "cert.der": alice.DER,
		"windows.pem": append([]byte("\ufeff"), bytes.ReplaceAll(alice.PEM(), []byte("\n"), []byte("\r\n"))...),
		"base64":      []byte(base64.StdEncoding.EncodeToString(alice.DER) + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{
		"pkcs12 -export -in cert.pem -inkey key.pem -passout pass: -out alice.p12",
		"crl2pkcs7 -nocrl -certfile cert.pem -out alice.p7b",
		"crl2pkcs7 -nocrl -certfile cert.pem -outform DER -out p7.der",
		"req -new -key key.pem -subj /CN=alice -out req.pem",
		"req -new -key key.pem -subj /CN=alice -outform DER -out req.der",
		"pkey -in key.pem -outform DER -out key.der",
	} {
		openssl := exec.Command("openssl", strings.Fields(args)...)
		openssl.Dir = dir
		if out, err := openssl.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", args, err, out)
		}
	}
	for name, want := range map[string]string{
		"cert.pem": "", "cert.der": "", "windows.pem": "",
		"key.pem": "it is the private key", "key.der": "it is the private key",
		"req.pem": "it is the request for one", "req.der": "it is the request for one",
		"alice.p12": "PKCS #12 has certificates inside; take one out: openssl pkcs12 -clcerts -nokeys -in FILE | pam-cockpit-cert check -",
		"alice.p7b": "openssl pkcs7 -print_certs -in FILE", "p7.der": "openssl pkcs7 -inform DER -print_certs -in FILE",
		"base64": "it looks like base64: base64 -d FILE | pam-cockpit-cert check -",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		certificate, _, err := ReadCertificate(text)
		if want == "" {
			if err != nil || certificate.Instance != alice.Fingerprint() {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
