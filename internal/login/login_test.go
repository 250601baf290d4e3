// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/infopipe"
)

type finder struct {
	certificate clientcert.Certificate
	err         error
}

func (f finder) Find(context.Context) (clientcert.Certificate, error) { return f.certificate, f.err }

type mapper struct {
	user  infopipe.User
	err   error
	asked []string
}

func (m *mapper) FindByCertificate(_ context.Context, pem string) (infopipe.User, error) {
	m.asked = append(m.asked, pem)
	return m.user, m.err
}

func TestDecide(t *testing.T) {
	certificate := clientcert.Certificate{Instance: strings.Repeat("ab", 32), DER: []byte("certificate")}
	alice := infopipe.User{Name: "alice", UID: 1000}
	failed := func(outcome infopipe.Outcome) error {
		return fmt.Errorf("asking SSSD: %w", &infopipe.Error{Outcome: outcome, Problem: "a problem", Hint: "a hint"})
	}
	found := finder{certificate: certificate}

	for name, test := range map[string]struct {
		finder  finder
		mapper  mapper
		result  Result
		user    infopipe.User
		level   logrus.Level
		message string // a part of it
		asked   bool
	}{
		"a mapped certificate is a success": {
			finder: found, mapper: mapper{user: alice},
			result: Success, user: alice, level: logrus.InfoLevel, message: certificate.Instance + " is user alice's", asked: true,
		},
		"no certificate is ignored, and SSSD not asked": {
			finder: finder{err: fmt.Errorf("own cgroup: %w", clientcert.ErrNone)}, mapper: mapper{user: alice},
			result: Ignore, level: logrus.DebugLevel, message: "own cgroup",
		},
		"a certificate that cannot be trusted is an unknown user": {
			finder: finder{err: &clientcert.RejectedError{Reason: "two certificates"}}, mapper: mapper{user: alice},
			result: UserUnknown, level: logrus.ErrorLevel, message: "two certificates",
		},
		"a file system that fails is an error of the service": {
			finder: finder{err: fmt.Errorf("opening: %w", fs.ErrPermission)}, mapper: mapper{user: alice},
			result: ServiceError, level: logrus.ErrorLevel, message: "permission denied",
		},
		"a certificate that SSSD does not map is an unknown user": {
			finder: found, mapper: mapper{err: failed(infopipe.NotMapped)},
			result: UserUnknown, level: logrus.ErrorLevel, message: "a problem", asked: true,
		},
		"an SSSD that does not answer is unavailable": {
			finder: found, mapper: mapper{err: failed(infopipe.Unavailable)},
			result: Unavailable, level: logrus.ErrorLevel, message: "a problem", asked: true,
		},
		"an SSSD that answers nonsense is an error of the service": {
			finder: found, mapper: mapper{err: failed(infopipe.Invalid)},
			result: ServiceError, level: logrus.ErrorLevel, message: "a problem", asked: true,
		},
		"an error that nobody foresaw is an error of the service": {
			finder: found, mapper: mapper{user: alice, err: errors.New("surprise")},
			result: ServiceError, level: logrus.ErrorLevel, message: "surprise", asked: true,
		},
		"an outcome that nobody foresaw is an error of the service": {
			finder: found, mapper: mapper{user: alice, err: failed(99)},
			result: ServiceError, level: logrus.ErrorLevel, message: "a problem", asked: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := logrus.New()
			log.SetOutput(&strings.Builder{})
			got := Decide(context.Background(), test.finder, &test.mapper, log)
			if got.Result != test.result || got.User != test.user || got.Level != test.level {
				t.Errorf("got %v %+v at %v, want %v %+v at %v",
					got.Result, got.User, got.Level, test.result, test.user, test.level)
			}
			if !strings.Contains(got.Message, test.message) {
				t.Errorf("message %q does not say %q", got.Message, test.message)
			}
			if asked := len(test.mapper.asked) > 0; asked != test.asked {
				t.Errorf("SSSD asked: %v, want %v", asked, test.asked)
			}
			for _, pem := range test.mapper.asked {
				if pem != certificate.PEM() {
					t.Errorf("SSSD was asked about %q", pem)
				}
			}
		})
	}
}

func TestResultsHaveTheManualPagesNames(t *testing.T) {
	names := map[Result]string{
		0: "no result", Success: "success", UserUnknown: "user_unknown", Ignore: "ignore",
		Unavailable: "unavail", ServiceError: "service_err", ServiceError + 1: "no result",
	}
	for result, name := range names {
		if result.String() != name {
			t.Errorf("result %d is called %q, want %q", int(result), result, name)
		}
	}
}
