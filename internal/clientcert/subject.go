// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Subject returns the subject as Name spells it; empty if there is none, or if the
// certificate is malformed.
func (c Certificate) Subject() string {
	var certificate struct {
		TBS struct {
			Version                                      int `asn1:"optional,explicit,default:0,tag:0"`
			Serial, Algorithm, Issuer, Validity, Subject asn1.RawValue
		}
	}
	if _, err := asn1.Unmarshal(c.DER, &certificate); err != nil {
		return ""
	}
	return Name(certificate.TBS.Subject.FullBytes)
}

// attributes has SSSD's names for types of attributes: OpenSSL's short names, with
// exceptions (openssl_2_nss_attr_name in src/lib/certmap/sss_cert_content_crypto.c).
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.15": "businessCategory",
	"2.5.4.17": "postalCode", "2.5.4.41": "name", "2.5.4.42": "givenName", "2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym", "2.5.4.97": "organizationIdentifier",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1": "E", "1.2.840.113549.1.9.2": "unstructuredName",
	"1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

// Name spells a distinguished name like sssctl cert-show, because the rules of
// sss-certmap(5) are compared with that: in the form of RFC 2253, the last part first,
// and several attributes of one part separately. The result is printable ASCII, in
// which a quote follows a backslash. It is empty if the name is malformed.
func Name(der []byte) string {
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return ""
	}
	var words []string
	for _, part := range parts {
		for rest := part.Bytes; len(rest) > 0; {
			var attribute struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}
			var err error
			if rest, err = asn1.Unmarshal(rest, &attribute); err != nil {
				return ""
			}
			label := attributes[attribute.Type.String()]
			if label == "" {
				label = "OID." + attribute.Type.String()
			}
			words = append(words, label+"="+spelled(attribute.Value))
		}
	}
	slices.Reverse(words)
	return strings.Join(words, ",")
}

// spelled returns an attribute's value, escaped.
func spelled(value asn1.RawValue) string {
	text := string(value.Bytes)
	switch value.Tag {
	case asn1.TagBMPString:
		units := make([]uint16, len(value.Bytes)/2)
		for i := range units {
			units[i] = uint16(value.Bytes[2*i])<<8 | uint16(value.Bytes[2*i+1])
		}
		text = string(utf16.Decode(units))
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagT61String, asn1.TagNumericString:
	default:
		return "#" + strings.ToUpper(hex.EncodeToString(value.FullBytes))
	}
	var out strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, i == 0 && (c == '#' || c == ' '), i == len(text)-1 && c == ' ':
			out.WriteByte('\\')
			out.WriteByte(c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
