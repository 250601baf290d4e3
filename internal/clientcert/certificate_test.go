// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/pki"
)

var certificateAlice, certificateBob = issue("alice"), issue("bob")

func issue(name string) pki.Certificate { return pki.NewAuthority("Test CA").Issue(name) }

// header returns the first line of the file that cockpit-tls exports for an instance.
func header(instance string) string { return "0::" + unit(instance) + "\n" }

func TestPEMIsCanonical(t *testing.T) {
	c := Certificate{DER: certificateAlice.DER}
	block, rest := pem.Decode([]byte(c.PEM()))
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) != 0 || len(rest) != 0 || !bytes.Equal(block.Bytes, c.DER) {
		t.Fatalf("got %s", c.PEM())
	}
	lines := strings.Split(strings.TrimSuffix(c.PEM(), "\n"), "\n")
	for _, line := range lines[1 : len(lines)-2] {
		if len(line) != 64 {
			t.Errorf("line of %d characters: %s", len(line), line)
		}
	}
}

// badTexts are file contents that must be rejected where alice's certificate is expected.
var badTexts = map[string]string{
	"nothing":                      "",
	"a newline":                    "\n",
	"no PEM":                       "certificate\n",
	"the DER itself":               string(certificateAlice.DER),
	"a NUL at the end":             string(certificateAlice.PEM()) + "\x00",
	"a NUL between":                strings.Replace(string(certificateAlice.PEM()), "\n", "\x00", 1),
	"another's certificate":        string(certificateBob.PEM()),
	"two certificates":             string(certificateAlice.PEM()) + string(certificateBob.PEM()),
	"two certificates, ours last":  string(certificateBob.PEM()) + string(certificateAlice.PEM()),
	"the certificate twice":        string(certificateAlice.PEM()) + string(certificateAlice.PEM()),
	"rubbish after it":             string(certificateAlice.PEM()) + "x",
	"an empty line after it":       string(certificateAlice.PEM()) + "\n",
	"rubbish before it":            "subject=alice\n" + string(certificateAlice.PEM()),
	"a broken certificate before":  "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n" + string(certificateAlice.PEM()),
	"another label":                string(pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: certificateAlice.DER})),
	"labels that differ":           strings.Replace(string(certificateAlice.PEM()), "END CERTIFICATE", "END X509 CRL", 1),
	"PEM headers":                  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}, Bytes: certificateAlice.DER})),
	"no end line":                  strings.Split(string(certificateAlice.PEM()), "-----END")[0],
	"cut off in the middle":        string(certificateAlice.PEM()[:200]),
	"no content":                   "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
	"a letter changed":             changed(certificateAlice.PEM()),
	"no base64":                    strings.Replace(string(certificateAlice.PEM()), "A", "*", 1),
	"one more byte in the DER":     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: append(bytes.Clone(certificateAlice.DER), 0)})),
	"a second line of the kernel":  header(alice) + string(certificateAlice.PEM()),
	"more than 100,000 characters": strings.Replace(string(certificateAlice.PEM()), "\n", strings.Repeat("\n", maxFile), 1),
}

// changed returns the PEM with one character of base64 changed.
func changed(text []byte) string {
	text = bytes.Clone(text)
	at := len(begin) + 70
	if text[at] == 'A' {
		text[at] = 'B'
	} else {
		text[at] = 'A'
	}
	return string(text)
}

func TestCertificateFile(t *testing.T) {
	instance := certificateAlice.Fingerprint()
	for name, text := range map[string]string{
		"as GnuTLS writes it": string(certificateAlice.PEM()),
		"no newline at end":   strings.TrimSuffix(string(certificateAlice.PEM()), "\n"),
		"one long line":       string(begin) + strings.ReplaceAll(string(certificateAlice.PEM()[len(begin):len(certificateAlice.PEM())-len(end)-1]), "\n", "") + string(end),
	} {
		for _, header := range []string{"", header(instance)} {
			t.Run(name, func(t *testing.T) {
				got, err := parseFile([]byte(header+text), []byte(header), instance)
				if err != nil || !bytes.Equal(got.DER, certificateAlice.DER) || got.Instance != instance {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
	}
	for name, text := range badTexts {
		for _, header := range []string{"", header(instance)} {
			t.Run(name, func(t *testing.T) {
				if got, err := parseFile([]byte(header+text), []byte(header), instance); err == nil {
					t.Errorf("accepted %d bytes as %s", len(text), got.Instance)
				}
			})
		}
	}
	// If two checks would reject the same text, the reason of the first is the helpful one.
	for name, want := range map[string]string{
		"nothing":                      "there is no certificate in it",
		"a NUL between":                "there is a NUL byte in it",
		"no PEM":                       "it does not start with a certificate in PEM",
		"no end line":                  "it does not end with a certificate in PEM",
		"no content":                   "it is not one certificate in PEM, and nothing else",
		"two certificates":             "it is not one certificate in PEM, and nothing else",
		"another's certificate":        "its certificate is another one: " + certificateBob.Fingerprint(),
		"more than 100,000 characters": "it has more than 100000 bytes",
	} {
		if _, err := parseFile([]byte(badTexts[name]), nil, instance); err == nil || err.Error() != want {
			t.Errorf("%s: refused because %v, want %q", name, err, want)
		}
	}
	t.Run("bits beyond the last byte", func(t *testing.T) {
		sum := sha256.Sum256([]byte{1})
		instance := hex.EncodeToString(sum[:])
		for text, ok := range map[string]bool{"AQ==": true, "AR==": false} {
			_, err := parseCertificate([]byte(string(begin)+text+"\n"+string(end)+"\n"), instance)
			if (err == nil) != ok {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
	t.Run("no content has no fingerprint", func(t *testing.T) {
		if _, err := parseCertificate([]byte(badTexts["no content"]), withoutCertificate); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("another's control group", func(t *testing.T) {
		text := append([]byte(header(bob)), certificateAlice.PEM()...)
		const want = "it does not start with the instance's control group"
		if _, err := parseFile(text, []byte(header(instance)), instance); err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	})
	t.Run("exactly 100,000 bytes", func(t *testing.T) {
		text := string(certificateAlice.PEM())
		text = strings.Replace(text, "\n", strings.Repeat("\n", maxFile-len(text)+1), 1)
		if _, err := parseFile([]byte(text), nil, instance); len(text) != maxFile || err != nil {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	})
}

// FuzzCertificateFile checks that only a certificate with the right hash is
// accepted, that encoding/pem reads the same one from the file and no other,
// and that SSSD always gets its canonical form.
func FuzzCertificateFile(f *testing.F) {
	f.Add(certificateAlice.PEM(), false)
	f.Add(append([]byte(header(certificateAlice.Fingerprint())), certificateAlice.PEM()...), true)
	for _, text := range badTexts {
		if len(text) < 4096 {
			f.Add([]byte(text), false)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, withHeader bool) {
		// The instance is that of the first certificate that a lenient parser
		// finds, so that the strict one gets past the hash.
		block, rest := pem.Decode(text)
		if block == nil {
			block = &pem.Block{}
		}
		sum := sha256.Sum256(block.Bytes)
		instance := hex.EncodeToString(sum[:])
		var line []byte
		if withHeader {
			line = []byte(header(instance))
			text = append(line[:len(line):len(line)], text...)
		}
		got, err := parseFile(text, line, instance)
		if err != nil {
			return
		}
		if !bytes.Equal(got.DER, block.Bytes) || got.Instance != instance || len(rest) != 0 || bytes.IndexByte(text, 0) >= 0 {
			t.Errorf("%q accepted as %x", text, got.DER)
		}
		again, err := parseCertificate([]byte(got.PEM()), instance)
		if err != nil || !bytes.Equal(again.DER, got.DER) {
			t.Errorf("%s is not its own: %v", got.PEM(), err)
		}
	})
}
