// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"errors"
	"os/user"
	"strconv"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/testutil/pki"
)

// answer is an SSSD that always gives the same answer.
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

func TestTheIssuerIsLookedForByItsName(t *testing.T) {
	ca, other := pki.NewAuthority("Lab CA"), pki.NewAuthority("Other CA")
	alice := describe(ca.Issue("alice").DER)
	for _, test := range []struct {
		name    string
		trusted []byte
		want    string
	}{
		{"nobody is trusted", nil, "its issuer CN=Lab CA,O=Lab is missing"},
		{"somebody else is", other.PEM(), "its issuer CN=Lab CA,O=Lab is missing"},
		{"somebody of the same name is", append(other.PEM(), pki.NewAuthority("Lab CA").PEM()...), "its issuer CN=Lab CA,O=Lab did not sign it with the key"},
	} {
		if got, _ := issuerIn(alice, describeAll(test.trusted)); got != test.want {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
}

// The output of OpenSSL 1.1.1 and 3.0.
func TestTheWordsOfOpenSSLAreUnderstood(t *testing.T) {
	for said, want := range map[string]judgement{
		"stdin: OK\n": {Known: true},
		"CN=alice,O=Lab\nerror 20 at 0 depth lookup: unable to get local issuer certificate\nerror stdin: verification failed\n": {true, 20, 0, "unable to get local issuer certificate"},
		"CN=alice,O=Lab\nerror 20 at 0 depth lookup:unable to get local issuer certificate\n":                                    {true, 20, 0, "unable to get local issuer certificate"},
		"CN=Lab CA,O=Lab\nerror 10 at 1 depth lookup: certificate has expired\nerror stdin: verification failed\n":               {true, 10, 1, "certificate has expired (CN=Lab CA,O=Lab)"},
		"Could not open file or uri for loading other CRLs from /x\n":                                                            {Text: "Could not open file or uri for loading other CRLs from /x"},
		"": {},
	} {
		if got := judged(said, strings.HasSuffix(said, "OK\n")); got != want {
			t.Errorf("%q: got %+v", said, got)
		}
	}
}

func FuzzReadCertificate(f *testing.F) {
	alice := pki.NewAuthority("Lab CA").Issue("alice")
	f.Add(alice.PEM())
	f.Add(alice.DER)
	f.Add(append(alice.KeyPEM(), alice.PEM()...))
	f.Fuzz(func(t *testing.T, text []byte) {
		certificate, _, err := ReadCertificate(text)
		describe(certificate.DER)
		if err == nil && (len(certificate.DER) == 0 || len(certificate.Instance) != 64) {
			t.Errorf("accepted %q as %+v", text, certificate)
		}
	})
}
