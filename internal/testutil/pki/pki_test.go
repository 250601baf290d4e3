// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pki

import (
	"crypto/x509"
	"testing"
)

func TestCertificatesAreAsGoodOrBadAsTheySay(t *testing.T) {
	authority := NewAuthority("Lab CA")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority.PEM()) {
		t.Fatal("the authority's PEM is of no use")
	}
	for name, test := range map[string]struct {
		certificate Certificate
		valid       bool
	}{
		"valid":             {authority.Issue("alice"), true},
		"expired":           {authority.Issue("alice", Expired), false},
		"not yet valid":     {authority.Issue("alice", Future), false},
		"self-signed":       {SelfSigned("alice"), false},
		"another authority": {NewAuthority("Lab CA").Issue("alice"), false},
	} {
		t.Run(name, func(t *testing.T) {
			certificate, err := x509.ParseCertificate(test.certificate.DER)
			if err != nil {
				t.Fatal(err)
			}
			_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			if (err == nil) != test.valid {
				t.Errorf("verification: %v", err)
			}
			if got := certificate.Subject.String(); got != "CN=alice,O=Lab" {
				t.Errorf("subject %s", got)
			}
		})
	}
}
