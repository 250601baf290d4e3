// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// Verification has the options of certificate_verification in sssd.conf(5) that change
// the result of a login.
type Verification struct {
	Off          bool     // every certificate is accepted, whoever issued it
	CRLs         []string // files of revocation lists
	SoftCRL      bool     // an expired list is ignored
	NoOCSP       bool
	Responder    string // the OCSP responder for every certificate, in place of its own
	SoftOCSP     bool   // a responder that cannot be reached is ignored
	PartialChain bool   // the chain may end at any certificate in the file
	Unknown      []string
}

const (
	verificationSection = "sssd"
	verificationKey     = "certificate_verification"
)

// Verification reads the options.
func (c *Config) Verification() Verification {
	var v Verification
	for option := range strings.SplitSeq(c.Get(verificationSection, verificationKey), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(option), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no_verification":
			v.Off = true
		case "crl_file":
			v.CRLs = append(v.CRLs, strings.TrimSpace(value))
		case "soft_crl":
			v.SoftCRL = true
		case "ocsp_default_responder":
			v.Responder = strings.TrimSpace(value)
		case "no_ocsp":
			v.NoOCSP = true
		case "soft_ocsp":
			v.SoftOCSP = true
		case "partial_chain":
			v.PartialChain = true
		case "", "ocsp_dgst", "ocsp_default_responder_signing_cert": // change nothing here
		default:
			v.Unknown = append(v.Unknown, strings.TrimSpace(name))
		}
	}
	return v
}

// VerificationAt returns the place of the options: a line of a file.
func (c *Config) VerificationAt() string { return c.Where(verificationSection, verificationKey) }

// RevocationLists parses a file of revocation lists in PEM, with nil for lists that Go
// cannot parse. inDER reports whether the file is in DER, which SSSD does not read.
func RevocationLists(text []byte) (lists []*x509.RevocationList, inDER bool) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			list = nil
		}
		lists = append(lists, list)
	}
	_, err := x509.ParseRevocationList(text)
	return lists, len(lists) == 0 && err == nil
}
