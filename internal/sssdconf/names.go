// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// shortNames has SSSD's names for the attributes in the names of people and
// authorities. SSSD prints others as UNDEF.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
	"2.5.4.17": "postalCode", "2.5.4.41": "name", "2.5.4.42": "givenName", "2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier", "2.5.4.46": "dnQualifier",
	"2.5.4.65": "pseudonym", "2.5.4.97": "organizationIdentifier",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "E",
}

// Name returns an X.501 name, given in DER, in the form of `sssctl cert-show`, which
// SSSD also compares with <SUBJECT> and <ISSUER> of sss-certmap(5): the last attribute
// first, and escaped according to RFC 2253, with letters beyond ASCII as the bytes of
// their UTF-8.
func Name(der []byte) (string, error) {
	var name []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &name); err != nil {
		return "", fmt.Errorf("reading a name: %w", err)
	} else if len(rest) > 0 {
		return "", errors.New("reading a name: there is more after it")
	}
	var parts []string
	for _, raw := range name {
		var attributes []struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		if _, err := asn1.UnmarshalWithParams(raw.FullBytes, &attributes, "set"); err != nil {
			return "", fmt.Errorf("reading a name: %w", err)
		}
		for _, attribute := range attributes {
			short, known := shortNames[attribute.Type.String()]
			if !known {
				short = "UNDEF"
			}
			parts = append(parts, short+"="+escaped(text(attribute.Value)))
		}
	}
	slices.Reverse(parts)
	return strings.Join(parts, ","), nil
}

// escaped returns a value in the form of RFC 2253, in ASCII.
func escaped(value string) string {
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, i == 0 && (c == '#' || c == ' '), i == len(value)-1 && c == ' ':
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// text converts a string of ASN.1 to UTF-8.
func text(value asn1.RawValue) string {
	switch value.Tag {
	case asn1.TagBMPString: // UTF-16, big-endian, without surrogates
		var b strings.Builder
		for i := 0; i+1 < len(value.Bytes); i += 2 {
			b.WriteRune(rune(value.Bytes[i])<<8 | rune(value.Bytes[i+1]))
		}
		return b.String()
	case asn1.TagT61String: // which OpenSSL reads as Latin-1
		var b strings.Builder
		for _, c := range value.Bytes {
			b.WriteRune(rune(c))
		}
		return b.String()
	default:
		return string(value.Bytes)
	}
}

// Pattern returns a regular expression for <SUBJECT> or <ISSUER> of sss-certmap(5)
// that matches this name. It is one of POSIX's extended ones. For '<' and '>', which
// would begin the next component, it has a dot, which matches any character.
func Pattern(text string) string {
	var b strings.Builder
	b.WriteByte('^')
	for _, c := range text {
		switch {
		case strings.ContainsRune(`.[]()*+?{}|^$\`, c):
			b.WriteString(`\` + string(c))
		case c == '<' || c == '>':
			b.WriteByte('.')
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('$')
	return b.String()
}
