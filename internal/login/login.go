// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package login decides one login: it finds the certificate that the browser
// presented and the user to whom SSSD maps it, and returns one of the five
// results of pam_cockpit_cert(8).
package login

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/infopipe"
)

// Finder finds the certificate that the browser behind this login presented.
// clientcert.Source is the real one, and documents the errors.
type Finder interface {
	Find(ctx context.Context) (clientcert.Certificate, error)
}

// Mapper maps a certificate to a user. infopipe.Client is the real one, and
// documents the errors.
type Mapper interface {
	FindByCertificate(ctx context.Context, pem string) (infopipe.User, error)
}

// Answer is the decision on a login. User is set if and only if the result is
// Success. Message is to be logged at Level, after a success only once the caller
// has checked that this system has the user.
type Answer struct {
	Result  Result
	User    infopipe.User
	Level   logrus.Level
	Message string
}

// Decide looks for the certificate and asks which user has it. Every failure is
// one of the results, with a message that says what to do.
func Decide(ctx context.Context, finder Finder, mapper Mapper, log logrus.FieldLogger) Answer {
	certificate, err := finder.Find(ctx)
	if err != nil {
		return notFound(err)
	}
	log.Debugf("asking SSSD for the user of certificate %s", certificate.Instance)
	return Map(ctx, certificate, mapper)
}

// Map asks which user has the certificate.
func Map(ctx context.Context, certificate clientcert.Certificate, mapper Mapper) Answer {
	user, err := mapper.FindByCertificate(ctx, certificate.PEM())
	if err != nil {
		return notMapped(certificate, err)
	}
	return Answer{
		Result:  Success,
		User:    user,
		Level:   logrus.InfoLevel,
		Message: fmt.Sprintf("certificate %s is user %s's%s", certificate.Instance, user.Name, subject(certificate)),
	}
}

func notFound(err error) Answer {
	var rejected *clientcert.RejectedError
	switch {
	case errors.Is(err, clientcert.ErrNone):
		return Answer{Result: Ignore, Level: logrus.DebugLevel, Message: err.Error()}
	case errors.As(err, &rejected):
		return Answer{Result: UserUnknown, Level: logrus.ErrorLevel, Message: "certificate refused: " + err.Error()}
	default:
		return Answer{Result: ServiceError, Level: logrus.ErrorLevel, Message: "cannot look for a certificate: " + err.Error()}
	}
}

func notMapped(certificate clientcert.Certificate, err error) Answer {
	answer := Answer{
		Result:  ServiceError,
		Level:   logrus.ErrorLevel,
		Message: fmt.Sprintf("%s: %v", Described(certificate), err),
	}
	var failed *infopipe.Error
	if errors.As(err, &failed) {
		answer.Result = ofOutcome(failed.Outcome)
	}
	return answer
}

// ofOutcome returns the result for an outcome; an unknown outcome is a service error.
func ofOutcome(outcome infopipe.Outcome) Result {
	switch outcome {
	case infopipe.NotMapped:
		return UserUnknown
	case infopipe.Unavailable:
		return Unavailable
	default:
		return ServiceError
	}
}

// Described names a certificate in a log.
func Described(certificate clientcert.Certificate) string {
	return "certificate " + certificate.Instance + subject(certificate)
}

// maxSubject is how much of a subject is logged, in bytes: a line must have room for
// the reason.
const maxSubject = 128

// subject describes the certificate's subject, if it has one. An attacker can make a
// certificate whose subject looks like other parts of the line, and so forge the log:
// clientcert.Name escapes control characters, and each quote by a backslash.
func subject(certificate clientcert.Certificate) string {
	name := certificate.Subject()
	if name == "" {
		return ""
	}
	if len(name) > maxSubject {
		name = name[:maxSubject]
		// The closing quote must not follow half of an escaped backslash.
		if backslashes := len(name) - len(strings.TrimRight(name, `\`)); backslashes%2 == 1 {
			name = name[:len(name)-1]
		}
		name += "..."
	}
	return ` (subject "` + name + `")`
}
