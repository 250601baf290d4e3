// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"strings"
)

// Authorities returns the certificates of a file in PEM, in DER. OpenSSL, which SSSD uses,
// accepts some that Go rejects, for example those with a negative serial number.
func Authorities(text []byte) [][]byte {
	return blocks(text, "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
}

// blocks returns the contents of the blocks of these types in a file in PEM.
func blocks(text []byte, types ...string) [][]byte {
	var all [][]byte
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if slices.Contains(types, block.Type) {
			all = append(all, block.Bytes)
		}
	}
}

// Malformed returns the line, from 1, at which a certificate begins that OpenSSL cannot
// read, such as one that is cut off or was appended to a line without an end; 0 if there is
// none. OpenSSL then reads none of the file's certificates.
func Malformed(text []byte) (line int) {
	const begin = "-----BEGIN "
	for at := bytes.Index(text, []byte(begin)); at >= 0; {
		end := len(text)
		if next := bytes.Index(text[at+len(begin):], []byte(begin)); next >= 0 {
			end = at + len(begin) + next
		}
		block, _ := pem.Decode(text[at:end])
		whole := block != nil && (at == 0 || text[at-1] == '\n')
		if whole && strings.HasSuffix(block.Type, "CERTIFICATE") {
			var sequence asn1.RawValue
			_, err := asn1.Unmarshal(block.Bytes, &sequence)
			whole = err == nil && sequence.Tag == asn1.TagSequence
		}
		if !whole {
			return 1 + bytes.Count(text[:at], []byte("\n"))
		}
		if at = end; end == len(text) {
			break
		}
	}
	return 0
}

// WrongForm returns the form of a file that has no certificates in PEM, and the command
// of openssl(1) that converts it to PEM; both are empty if the form is not known.
func WrongForm(text []byte) (form, command string) {
	block, _ := pem.Decode(text)
	var sequence, inner asn1.RawValue
	switch {
	case block != nil && block.Type == "PKCS7":
		return "PKCS #7, which SSSD cannot read", "openssl pkcs7 -print_certs"
	case block != nil:
		return "PEM of the type " + block.Type, ""
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}), bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		return "UTF-16, which SSSD cannot read", ""
	}
	if _, err := asn1.Unmarshal(text, &sequence); err != nil || sequence.Tag != asn1.TagSequence {
		return "", ""
	}
	if _, err := asn1.Unmarshal(sequence.Bytes, &inner); err == nil && inner.Tag == asn1.TagOID {
		return "PKCS #7 in DER, which SSSD cannot read", "openssl pkcs7 -inform DER -print_certs"
	}
	return "DER, which SSSD cannot read", "openssl x509 -inform DER"
}
