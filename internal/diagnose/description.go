// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/sssdconf"
)

// description has the fields of a certificate.
type description struct {
	DER                   []byte
	Subject, Issuer       string
	RawSubject, RawIssuer []byte
	NotBefore, NotAfter   time.Time
	Responders            []string // addresses of OCSP
	Digest                string   // a broken one with which it is signed; "" for others
	Err                   error    // why fields are missing
}

// selfIssued reports whether the certificate names itself as its issuer, as a root does.
func (d description) selfIssued() bool { return d.names(d) }

// names reports whether the certificate names this authority as its issuer.
func (d description) names(authority description) bool {
	return bytes.Equal(d.RawIssuer, authority.RawSubject)
}

// describeAll describes the certificates of a file of authorities.
func describeAll(text []byte) []description {
	var all []description
	for _, der := range sssdconf.Authorities(text) {
		all = append(all, describe(der))
	}
	return all
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
		return description{DER: der, Err: err}
	}
	tbs := certificate.TBS
	this := description{
		DER:     der,
		Subject: clientcert.Name(tbs.Subject.FullBytes), RawSubject: tbs.Subject.FullBytes,
		Issuer: clientcert.Name(tbs.Issuer.FullBytes), RawIssuer: tbs.Issuer.FullBytes,
		NotBefore: tbs.Validity.NotBefore.UTC(), NotAfter: tbs.Validity.NotAfter.UTC(),
		Digest: brokenDigests[certificate.SignatureAlgorithm.Algorithm.String()],
	}
	for _, extension := range tbs.Extensions {
		if extension.Id.Equal(authorityInfoAccess) {
			this.Responders = responders(extension.Value)
		}
	}
	return this
}

// brokenDigests has the digests that OpenSSL's configuration or a system's crypto policy
// may not allow, by the identifiers of the signature algorithms that use them.
var brokenDigests = map[string]string{
	"1.2.840.113549.1.1.2": "MD2", "1.2.840.113549.1.1.3": "MD4", "1.2.840.113549.1.1.4": "MD5",
	"1.2.840.113549.1.1.5": "SHA-1", "1.3.14.3.2.29": "SHA-1", "1.2.840.10045.4.1": "SHA-1", "1.2.840.10040.4.3": "SHA-1",
}

// The extension with the addresses of OCSP responders, see RFC 5280, section 4.2.2.1.
var (
	authorityInfoAccess = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	ocspAccess          = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}
)

// uriName is the tag of a URI in a GeneralName.
const uriName = 6

func responders(extension []byte) []string {
	var accesses []struct {
		Method   asn1.ObjectIdentifier
		Location asn1.RawValue
	}
	if _, err := asn1.Unmarshal(extension, &accesses); err != nil {
		return nil
	}
	var found []string
	for _, access := range accesses {
		if access.Method.Equal(ocspAccess) && access.Location.Tag == uriName {
			found = append(found, string(access.Location.Bytes))
		}
	}
	return found
}
