// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"crypto/x509"
	"errors"
	"os/user"
	"strconv"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/testutil/pki"
)

// answer is an SSSD that always says the same.
type answer struct {
	user infopipe.User
	err  error
}

func (a answer) FindByCertificate(context.Context, string) (infopipe.User, error) {
	return a.user, a.err
}

func TestTheUserHasToBeTheOneThatThisSystemKnows(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(me.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	uid := uint32(number)
	certificate, _, err := ReadCertificate(pki.NewAuthority("Lab CA").Issue("alice").PEM())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name        string
		answer      answer
		result, why string
	}{
		{"the same user", answer{user: infopipe.User{Name: me.Username, UID: uid}}, "success", ""},
		{"another one's name, such as root's", answer{user: infopipe.User{Name: me.Username, UID: uid + 5015}}, "service_err", "SSSD means the user ID"},
		{"nobody's name", answer{user: infopipe.User{Name: "nobody.at.all", UID: 1}}, "user_unknown", "this system does not know the user nobody.at.all"},
		{"a failure of another kind", answer{err: errors.New("why")}, "service_err", "why"},
		{"a failure with its hint", answer{err: &infopipe.Error{Outcome: infopipe.Unavailable, Problem: "p", Hint: "h"}}, "unavail", "p"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := Checker{Mapper: test.answer, Timeout: time.Minute, Now: time.Now()}.Check(context.Background(), certificate)
			if err != nil {
				t.Fatal(err)
			}
			if report.Result != test.result || !strings.Contains(strings.Join(report.Reasons, "\n"), test.why) {
				t.Errorf("got %+v", report)
			}
		})
	}
}

func TestWhatSSSDWouldCheckIsReadFromTheChain(t *testing.T) {
	parse := func(c pki.Certificate) *x509.Certificate {
		parsed, err := x509.ParseCertificate(c.DER)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	ca, other := pki.NewAuthority("Lab CA"), pki.NewAuthority("Other CA")
	alice := parse(ca.Issue("alice"))
	for _, test := range []struct {
		name    string
		trusted []byte
		want    string
		now     time.Time
	}{
		{"trusted", append(other.PEM(), ca.PEM()...), "", time.Now()},
		{"nobody is trusted", nil, "its issuer CN=Lab CA,O=Lab is missing", time.Now()},
		{"somebody else is", other.PEM(), "is missing", time.Now()},
		{"somebody of the same name is", pki.NewAuthority("Lab CA").PEM(), "did not sign it with the key", time.Now()},
		{"the authority is expired", ca.PEM(), "expired on", time.Now().AddDate(100, 0, 0)},
		{"what is there cannot be read", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be read", time.Now()},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := chain(alice, test.trusted, test.now)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzReadCertificate(f *testing.F) {
	alice := pki.NewAuthority("Lab CA").Issue("alice")
	f.Add(alice.PEM())
	f.Add(alice.DER)
	f.Add(append(alice.KeyPEM(), alice.PEM()...))
	f.Fuzz(func(t *testing.T, text []byte) {
		certificate, _, err := ReadCertificate(text)
		if err == nil && (len(certificate.DER) == 0 || len(certificate.Instance) != 64) {
			t.Errorf("accepted %q as %+v", text, certificate)
		}
	})
}
