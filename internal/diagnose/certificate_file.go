// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"pam_cockpit_cert/internal/clientcert"
)

// ReadCertificate finds a certificate in PEM or DER. It returns the first of several,
// which is the user's in a file with its issuers after it; more is the number of the
// others.
func ReadCertificate(text []byte) (certificate clientcert.Certificate, more int, err error) {
	var all [][]byte
	var others []string
	// Editors on Windows put a byte order mark before the first line.
	for rest := bytes.TrimPrefix(text, []byte("\ufeff")); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" && len(block.Bytes) > 0 {
			all = append(all, block.Bytes)
		} else {
			others = append(others, block.Type)
		}
	}
	switch {
	case len(all) > 0:
	case len(others) > 0:
		return certificate, 0, fmt.Errorf("this is not a certificate: %s", instead(others[0]))
	default:
		der, err := readDER(text)
		if err != nil {
			return certificate, 0, err
		}
		all = [][]byte{der}
	}
	fingerprint := sha256.Sum256(all[0])
	return clientcert.Certificate{Instance: hex.EncodeToString(fingerprint[:]), DER: all[0]}, len(all) - 1, nil
}

// instead returns the advice for a file with such a block in PEM.
func instead(block string) string {
	switch {
	case strings.HasSuffix(block, "PRIVATE KEY"):
		return "it is the private key, which stays where it is; the certificate is another file"
	case strings.HasSuffix(block, "CERTIFICATE REQUEST"):
		return "it is the request for one; take what the authority made of it"
	case block == "PKCS7":
		return bundle("PKCS #7", "pkcs7 -print_certs")
	}
	return fmt.Sprintf("it has a block of the type %q only", block)
}

func bundle(kind, how string) string {
	return kind + " has certificates inside; take one out: openssl " + how + " -in FILE | pam-cockpit-cert check -"
}

// The beginnings, within a SEQUENCE, of files that are not certificates.
var (
	signedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	pfxVersion = 3
)

// readDER accepts everything that may be a certificate: SSSD has to validate it, as
// in a login.
func readDER(text []byte) ([]byte, error) {
	var sequence asn1.RawValue
	rest, err := asn1.Unmarshal(text, &sequence)
	if err != nil || sequence.Class != asn1.ClassUniversal || sequence.Tag != asn1.TagSequence || len(bytes.TrimSpace(rest)) > 0 {
		joined := strings.Join(strings.Fields(string(text)), "")
		if der, err := base64.StdEncoding.DecodeString(joined); err == nil && len(der) > 0 {
			return nil, errors.New("this is not a certificate, neither in PEM nor in DER; it looks like base64: base64 -d FILE | pam-cockpit-cert check -")
		}
		return nil, errors.New("this is not a certificate, neither in PEM nor in DER")
	}
	var number int
	var kind asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(sequence.Bytes, &kind); err == nil && kind.Equal(signedData) {
		return nil, errors.New("this is not a certificate: " + bundle("PKCS #7", "pkcs7 -inform DER -print_certs"))
	}
	if _, err := asn1.Unmarshal(sequence.Bytes, &number); err == nil {
		if number == pfxVersion {
			return nil, errors.New("this is not a certificate: " + bundle("PKCS #12", "pkcs12 -clcerts -nokeys"))
		}
		return nil, errors.New("this is not a certificate: " + instead("PRIVATE KEY"))
	}
	if _, err := x509.ParseCertificateRequest(sequence.FullBytes); err == nil {
		return nil, errors.New("this is not a certificate: " + instead("CERTIFICATE REQUEST"))
	}
	return sequence.FullBytes, nil
}
