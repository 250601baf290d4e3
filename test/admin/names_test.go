// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package admin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/sssdconf"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// TestNamesAreThoseOfSSSD checks that a printed subject can be pasted into a rule.
func TestNamesAreThoseOfSSSD(t *testing.T) {
	namespace.Need(t)
	if _, err := exec.LookPath("sssctl"); err != nil {
		t.Skip("needs sssd-tools")
	}
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.Start(config(t, ""))
	type attribute = pkix.AttributeTypeAndValue
	oid := func(numbers ...int) asn1.ObjectIdentifier { return numbers }
	var (
		dc    = oid(0, 9, 2342, 19200300, 100, 1, 25)
		ou    = oid(2, 5, 4, 11)
		cn    = oid(2, 5, 4, 3)
		email = oid(1, 2, 840, 113549, 1, 9, 1)
		ia5   = func(text string) asn1.RawValue {
			return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(text)}
		}
	)
	for name, subject := range map[string]pkix.RDNSequence{
		"Active Directory's form": {{{Type: dc, Value: ia5("lab")}}, {{Type: dc, Value: ia5("ad")}}, {{Type: ou, Value: "Europe"}}, {{Type: ou, Value: "Users"}}, {{Type: cn, Value: "Alice Smith"}}},
		"an address":              {{{Type: cn, Value: "alice"}}, {{Type: email, Value: ia5("alice@lab.test")}}},
		"special characters":      {{{Type: oid(2, 5, 4, 10), Value: `Smith, Sons + "Co" = <x>; #1 \ y`}}, {{Type: cn, Value: " alice "}}},
		"other letters":           {{{Type: cn, Value: "Zoë Łukasz"}}},
		"UTF-16":                  {{{Type: cn, Value: asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte{0, 'a', 0, 0xe9}}}}},
		"two attributes in one":   {{attribute{Type: cn, Value: "alice"}, attribute{Type: ou, Value: "Users"}}},
		"a smart card's":          {{{Type: oid(2, 5, 4, 6), Value: "DE"}}, {{Type: oid(2, 5, 4, 5), Value: "123"}}, {{Type: oid(2, 5, 4, 42), Value: "Alice"}}, {{Type: oid(2, 5, 4, 4), Value: "Smith"}}, {{Type: oid(2, 5, 4, 12), Value: "Dr"}}},
		"a user ID":               {{{Type: oid(0, 9, 2342, 19200300, 100, 1, 1), Value: "alice"}}},
		"Latin-1":                 {{{Type: cn, Value: asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte("Zo\xeb")}}}},
		"UTF-32":                  {{{Type: cn, Value: asn1.RawValue{Tag: 28, Bytes: []byte("\x00\x00\x00Z\x00\x00\x01A")}}}},
		"bits":                    {{{Type: oid(2, 5, 4, 45), Value: asn1.BitString{Bytes: []byte("ab"), BitLength: 16}}}},
		"X.520's attributes":      numbered("x", 120, 2, 5, 4),
		"RFC 4524's attributes":   numbered("x", 60, 0, 9, 2342, 19200300, 100, 1),
		"PKCS #9's attributes":    numbered("x", 30, 1, 2, 840, 113549, 1, 9),
		"RFC 3739's attributes":   numbered("x", 5, 1, 3, 6, 1, 5, 5, 7, 9),
		"a jurisdiction":          numbered("x", 3, 1, 3, 6, 1, 4, 1, 311, 60, 2, 1),
		"a UPN":                   {{{Type: oid(1, 3, 6, 1, 4, 1, 311, 20, 2, 3), Value: "alice@lab.test"}}},
		"a Russian one":           {{{Type: oid(1, 2, 643, 3, 131, 1, 1), Value: "1"}}, {{Type: oid(1, 2, 643, 100, 1), Value: "2"}}, {{Type: oid(1, 2, 643, 100, 3), Value: "3"}}},
		"an unknown attribute":    {{{Type: oid(1, 3, 6, 1, 4, 1, 99999, 1), Value: "x"}}, {{Type: cn, Value: "alice"}}},
		"places":                  {{{Type: oid(2, 5, 4, 8), Value: "Bayern"}}, {{Type: oid(2, 5, 4, 7), Value: "Bamberg"}}, {{Type: oid(2, 5, 4, 9), Value: "Weg 1"}}, {{Type: oid(2, 5, 4, 17), Value: "96047"}}},
		"qualified and collected": {{{Type: oid(2, 5, 4, 46), Value: "q"}}, {{Type: oid(2, 5, 4, 43), Value: "a.s."}}, {{Type: oid(2, 5, 4, 65), Value: "ali"}}, {{Type: oid(2, 5, 4, 97), Value: "VAT-1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := asn1.Marshal(subject)
			if err != nil {
				t.Fatal(err)
			}
			certificate := ca.Issue("", func(c *x509.Certificate) { c.RawSubject = raw })
			encoded := base64.StdEncoding.EncodeToString(certificate.DER)
			out, err := exec.Command("sssctl", "cert-show", encoded).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			_, said, _ := strings.Cut(string(out), "\nSubject: ")
			said, _, _ = strings.Cut(said, "\n")
			got := clientcert.Name(raw)
			if got != said {
				t.Errorf("%q; SSSD says %q", got, said)
			}
			out, err = exec.Command("sssctl", "cert-eval-rule", encoded, "--match=<SUBJECT>"+sssdconf.Pattern(got)).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Certificate matches rule") {
				t.Errorf("as a rule: %v\n%s", err, out)
			}
		})
	}
}

// numbered returns a name with the attributes 1 to last below a type.
func numbered(value string, last int, below ...int) (name pkix.RDNSequence) {
	for n := 1; n <= last; n++ {
		id := append(slices.Clone(below), n)
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: id, Value: value}})
	}
	return name
}
