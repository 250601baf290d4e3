// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"pam_cockpit_cert/internal/clientcert"
)

// description has the fields of a certificate.
type description struct {
	Subject, Issuer       string
	RawSubject, RawIssuer []byte
	NotBefore, NotAfter   time.Time
	Err                   error // why fields are missing
}

// describe parses a certificate more leniently than crypto/x509, which rejects some
// that OpenSSL accepts, for example those with a negative serial number.
func describe(der []byte) description {
	var certificate struct {
		TBS struct {
			Version            int `asn1:"optional,explicit,default:0,tag:0"`
			Serial             *big.Int
			SignatureAlgorithm pkix.AlgorithmIdentifier
			Issuer             asn1.RawValue
			Validity           struct{ NotBefore, NotAfter time.Time }
			Subject            asn1.RawValue
			PublicKey          asn1.RawValue
			IssuerID           asn1.BitString   `asn1:"optional,tag:1"`
			SubjectID          asn1.BitString   `asn1:"optional,tag:2"`
			Extensions         []pkix.Extension `asn1:"optional,explicit,tag:3"`
		}
		SignatureAlgorithm pkix.AlgorithmIdentifier
		Signature          asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &certificate); err != nil {
		return description{Err: err}
	}
	tbs := certificate.TBS
	return description{
		Subject: clientcert.Name(tbs.Subject.FullBytes), RawSubject: tbs.Subject.FullBytes,
		Issuer: clientcert.Name(tbs.Issuer.FullBytes), RawIssuer: tbs.Issuer.FullBytes,
		NotBefore: tbs.Validity.NotBefore.UTC(), NotAfter: tbs.Validity.NotAfter.UTC(),
	}
}
