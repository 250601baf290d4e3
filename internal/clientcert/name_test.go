// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/pki"
)

// The names are those that sssctl cert-show of SSSD 2.8.2 prints for them.
func TestNamesAreSpelledAsSSSDSpellsThem(t *testing.T) {
	type part = pkix.RelativeDistinguishedNameSET
	of := func(oid string, value any) pkix.AttributeTypeAndValue {
		var id asn1.ObjectIdentifier
		for number := range strings.SplitSeq(oid, ".") {
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			id = append(id, n)
		}
		return pkix.AttributeTypeAndValue{Type: id, Value: value}
	}
	ia5 := func(text string) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(text)} }
	for want, name := range map[string]pkix.RDNSequence{
		"E=alice@example.com,CN=Alice Doe,OU=Europe,OU=Users,DC=example,DC=com": {
			part{of("0.9.2342.19200300.100.1.25", ia5("com"))}, part{of("0.9.2342.19200300.100.1.25", ia5("example"))},
			part{of("2.5.4.11", "Users")}, part{of("2.5.4.11", "Europe")}, part{of("2.5.4.3", "Alice Doe")}, part{of("1.2.840.113549.1.9.1", ia5("alice@example.com"))}},
		`OU=a,O=Soci\C3\A9t\C3\A9 \"X\"\, SA,C=FR`: {part{of("2.5.4.6", "FR")}, part{of("2.5.4.10", `Société "X", SA`)}, part{of("2.5.4.11", "a")}},
		`CN=\#x,UID=adoe,title=Dr,SN=Doe,givenName=Al,serialNumber=123`: {part{of("2.5.4.5", "123")}, part{of("2.5.4.42", "Al")},
			part{of("2.5.4.4", "Doe")}, part{of("2.5.4.12", "Dr")}, part{of("0.9.2342.19200300.100.1.1", "adoe")}, part{of("2.5.4.3", "#x")}},
		"CN=multi,OU=x,O=Lab":        {part{of("2.5.4.10", "Lab")}, part{of("2.5.4.11", "x"), of("2.5.4.3", "multi")}},
		"OID.2.5.4.13=dd,STREET=Rue": {part{of("2.5.4.9", "Rue")}, part{of("2.5.4.13", "dd")}},
		`CN=a\1B[2J\0A`:              {part{of("2.5.4.3", "a\x1b[2J\n")}},
		`CN=Zo\C3\AB`:                {part{of("2.5.4.3", asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte("\x00Z\x00o\x00\xeb")})}},
	} {
		der, err := asn1.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := Name(der); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, der := range []string{"", "x", "\x30\x02\x31\x05", "\x30\x04\x31\x02\x30\x00"} {
		if got := Name([]byte(der)); got != "" {
			t.Errorf("%q is %q", der, got)
		}
	}
}

func TestSubject(t *testing.T) {
	ca := pki.NewAuthority("Lab CA")
	if got, want := (Certificate{DER: ca.Issue("alice").DER}).Subject(), "CN=alice,O=Lab"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, der := range []string{"", "x", "\x30\x00", "\x30\x02\x30\x00", string(ca.Issue("alice").DER[:100])} {
		if got := (Certificate{DER: []byte(der)}).Subject(); got != "" {
			t.Errorf("%q has the subject %q", der, got)
		}
	}
}

// FuzzSubject checks that the subject of every certificate can be quoted in a log.
func FuzzSubject(f *testing.F) {
	f.Add(pki.NewAuthority("Lab CA").Issue("al\"ice\n").DER)
	f.Fuzz(func(t *testing.T, der []byte) {
		subject := Certificate{DER: der}.Subject()
		for i, c := range []byte(subject) {
			if c < ' ' || c > '~' || c == '"' && (i == 0 || subject[i-1] != '\\') {
				t.Errorf("%x has the subject %q", der, subject)
			}
		}
	})
}
