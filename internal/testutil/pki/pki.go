// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package pki makes throw-away certificate authorities, and client
// certificates good and bad, for tests and the demonstration.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"time"
)

// Authority issues certificates. Its subject is O=Lab and the given CN.
type Authority struct {
	Certificate
	template *x509.Certificate
	key      *ecdsa.PrivateKey
	revoked  []x509.RevocationListEntry
}

// Certificate is a certificate with its key.
type Certificate struct {
	DER    []byte
	KeyDER []byte // PKCS #8
	Serial *big.Int
}

// PEM returns the certificate in PEM.
func (c Certificate) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.DER})
}

// KeyPEM returns the private key in PEM.
func (c Certificate) KeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: c.KeyDER})
}

// Fingerprint is the SHA-256 of DER in lower-case hex: the name of Cockpit's
// instance for it.
func (c Certificate) Fingerprint() string {
	sum := sha256.Sum256(c.DER)
	return hex.EncodeToString(sum[:])
}

// Option changes a certificate that is about to be issued.
type Option func(*x509.Certificate)

// Expired makes a certificate that was valid until yesterday.
func Expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().AddDate(0, 0, -20), time.Now().AddDate(0, 0, -1)
}

// Future makes a certificate that will be valid tomorrow.
func Future(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().AddDate(0, 0, 1), time.Now().AddDate(0, 0, 20)
}

// Responder names an OCSP responder in a certificate.
func Responder(address string) Option {
	return func(c *x509.Certificate) { c.OCSPServer = []string{address} }
}

// authority makes a certificate one of an authority.
func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c.ExtKeyUsage = nil
}

// NewAuthority makes a certificate authority.
func NewAuthority(commonName string) *Authority {
	template := template(commonName, authority)
	certificate, key := sign(template, nil, nil)
	return &Authority{Certificate: certificate, template: template, key: key}
}

// Intermediate makes an authority that this one has certified.
func (a *Authority) Intermediate(commonName string, options ...Option) *Authority {
	template := template(commonName, append([]Option{authority}, options...)...)
	certificate, key := sign(template, a.template, a.key)
	return &Authority{Certificate: certificate, template: template, key: key}
}

// Issue makes a client certificate with the subject O=Lab,CN=commonName.
func (a *Authority) Issue(commonName string, options ...Option) Certificate {
	template := template(commonName, options...)
	certificate, _ := sign(template, a.template, a.key)
	return certificate
}

// Certify makes a client certificate for a key that is elsewhere, such as a smart
// card's. The result has no key.
func (a *Authority) Certify(public crypto.PublicKey, commonName string) Certificate {
	template := template(commonName)
	return Certificate{DER: create(template, a.template, public, a.key), Serial: template.SerialNumber}
}

// SelfSigned makes a certificate that no authority has issued.
func SelfSigned(commonName string, options ...Option) Certificate {
	template := template(commonName, options...)
	certificate, _ := sign(template, nil, nil)
	return certificate
}

// Revoke puts a certificate on the authority's list.
func (a *Authority) Revoke(c Certificate) {
	a.revoked = append(a.revoked, x509.RevocationListEntry{SerialNumber: c.Serial, RevocationTime: time.Now()})
}

// CRL returns the revocation list in PEM.
func (a *Authority) CRL() []byte {
	issuer, err := x509.ParseCertificate(a.DER)
	must(err)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    big.NewInt(1),
		ThisUpdate:                time.Now().Add(-time.Hour),
		NextUpdate:                time.Now().AddDate(0, 0, 10),
		RevokedCertificateEntries: a.revoked,
	}, issuer, a.key)
	must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func template(commonName string, options ...Option) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(err)
	// In this order, because SSSD writes it backwards, as CN=...,O=Lab.
	subject, err := asn1.Marshal(pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Lab"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: commonName}},
	})
	must(err)
	template := &x509.Certificate{
		SerialNumber: serial,
		RawSubject:   subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(0, 0, 30),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, option := range options {
		option(template)
	}
	return template
}

func sign(template, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	der := create(template, issuer, &key.PublicKey, issuerKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return Certificate{DER: der, KeyDER: keyDER, Serial: template.SerialNumber}, key
}

// create returns a certificate in DER.
func create(template, issuer *x509.Certificate, public crypto.PublicKey, issuerKey *ecdsa.PrivateKey) []byte {
	if issuer != template {
		issuer = &x509.Certificate{RawSubject: issuer.RawSubject, SubjectKeyId: issuer.SubjectKeyId}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, issuerKey)
	must(err)
	return der
}

// must panics on an error: making certificates only fails without randomness.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
