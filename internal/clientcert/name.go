// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Name spells an X.501 name, given in DER, like sssctl cert-show, because SSSD
// compares <SUBJECT> and <ISSUER> of sss-certmap(5) with that: in the form of RFC 2253,
// the last part first, several attributes of one part separately, and letters beyond
// ASCII as the bytes of their UTF-8. The result is printable ASCII, in which a quote
// follows a backslash. It is empty if the name is empty or malformed.
func Name(der []byte) string {
	var parts []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &parts); err != nil || len(rest) > 0 {
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
			words = append(words, attributeName(attribute.Type)+"="+spelled(attribute.Value))
		}
	}
	slices.Reverse(words)
	return strings.Join(words, ",")
}

// attributeName returns SSSD's name for a type of attributes. SSSD calls each type that
// OpenSSL does not know UNDEF.
func attributeName(id asn1.ObjectIdentifier) string {
	_, rest, known := strings.Cut(attributeNames, "\n"+id.String()+" ")
	if !known {
		return "UNDEF"
	}
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

// spelled returns an attribute's value, escaped.
func spelled(value asn1.RawValue) string {
	text, ok := decoded(value)
	if !ok {
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

// decoded returns a string of ASN.1 in UTF-8. OpenSSL reads a T61String as Latin-1.
func decoded(value asn1.RawValue) (text string, ok bool) {
	const universalString = 28 // in UTF-32; encoding/asn1 has no name for it
	var runes []rune
	switch value.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString:
		return string(value.Bytes), true
	case asn1.TagT61String:
		for _, c := range value.Bytes {
			runes = append(runes, rune(c))
		}
	case asn1.TagBMPString:
		var units []uint16
		for rest := value.Bytes; len(rest) >= 2; rest = rest[2:] {
			units = append(units, binary.BigEndian.Uint16(rest))
		}
		runes = utf16.Decode(units)
	case universalString:
		for rest := value.Bytes; len(rest) >= 4; rest = rest[4:] {
			runes = append(runes, rune(binary.BigEndian.Uint32(rest)))
		}
	default:
		return "", false
	}
	return string(runes), true
}
