// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package admin

import (
	"crypto/x509"
	"os/exec"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// An authority that is renewed keeps its name. SSSD refuses one of the two if it is asked
// about it, and accepts the certificates of both. Debian's and Fedora's files of
// authorities have such pairs, and some that have expired.
func TestAnAuthorityWithAnOldAndANewKey(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	older, newer := pki.NewAuthority("Lab CA"), pki.NewAuthority("Lab CA")
	s := sssd.New(t, append(older.PEM(), newer.PEM()...))
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `ok +authorities: 2 in `)
	for name, ca := range map[string]*pki.Authority{"old": older, "new": newer} {
		output, status := command(t, ca.Issue("alice", signedBy(t, ca)).PEM(), 0, "check", "-")
		if wants(t, output, "result       success"); status != 0 {
			t.Errorf("%s: exit status %d", name, status)
		}
	}

	// Without the identifier of a key, OpenSSL tries one of them.
	refused := 0
	for _, ca := range []*pki.Authority{older, newer} {
		if output, status := command(t, ca.Issue("alice").PEM(), 0, "check", "-"); status != 0 {
			refused++
			wants(t, output, "CN=Lab CA,O=Lab has several keys in "+sssd.Authority, "remove the certificates of that authority that are no longer used")
		}
	}
	if refused != 1 {
		t.Errorf("%d of two were refused", refused)
	}

	// Its successor has its name, so that nobody need look for the one that has expired.
	s.Write(sssd.Authority, string(older.PEM())+string(pki.SelfSigned("Lab CA", pki.Expired).PEM()))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `ok +authorities: 2 in `)

	// The certificates of others are accepted as before if a root has expired. If it is
	// an authority below a valid root, there may be no others.
	root := pki.NewAuthority("Other CA")
	s.Write(sssd.Authority, string(older.PEM())+string(pki.SelfSigned("Past CA", pki.Expired).PEM()))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `warning +authorities: 2 in .*, 1 of them not valid today, such as CN=Past CA,O=Lab\n +-> SSSD refuses what they issued: renew them if `)
	s.Write(sssd.Authority, string(root.PEM())+string(root.Intermediate("Users CA", pki.Expired).PEM()))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `BROKEN +authorities: 2 in .*, 1 of which SSSD calls invalid: CN=Users CA,O=Lab OpenSSL says of it: certificate has expired`)
}

// signedBy puts the identifier of an authority's key into a certificate.
func signedBy(t *testing.T, ca *pki.Authority) pki.Option {
	t.Helper()
	issuer, err := x509.ParseCertificate(ca.DER)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *x509.Certificate) { c.AuthorityKeyId = issuer.SubjectKeyId }
}
