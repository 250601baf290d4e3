// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Outcome is what a failure means for a login.
type Outcome int

const (
	// Invalid: SSSD's answer is not one that it should give.
	Invalid Outcome = iota
	// NotMapped: SSSD says that no user has the certificate, or that it is invalid.
	NotMapped
	// Unavailable: SSSD does not answer, or cannot tell now.
	Unavailable
)

// Error says in plain words what went wrong, and what to do next.
type Error struct {
	Outcome Outcome
	Problem string
	Hint    string
	Err     error // the cause, if there is one

	kind error // such as ErrNotStarted; nil for others
}

// ErrNotStarted is the kind of an Error of an SSSD that was not running, and could not be
// started: its configuration may be the cause.
var ErrNotStarted = errors.New("SSSD did not start")

// Is lets errors.Is tell the kind.
func (e *Error) Is(target error) bool { return e.kind != nil && target == e.kind }

func (e *Error) Error() string {
	text := e.Problem
	if e.Err != nil {
		text += " (" + shortened(e.Err.Error()) + ")"
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// maxCause is how much of a cause is told, in bytes: it may be a text from the bus, and a
// line of the log must have room for the hint.
const maxCause = 256

func shortened(text string) string {
	if len(text) <= maxCause {
		return text
	}
	return strings.ToValidUTF8(text[:maxCause], "") + "..."
}

func invalid(format string, args ...any) *Error {
	return &Error{
		Outcome: Invalid,
		Problem: fmt.Sprintf(format, args...),
		Hint:    "is it SSSD that owns " + service + " on the bus?",
	}
}

// Names of D-Bus errors on which the next step depends.
const (
	errNoOwner        = "org.freedesktop.DBus.Error.NameHasNoOwner"
	errServiceUnknown = "org.freedesktop.DBus.Error.ServiceUnknown"
	errUnknownMethod  = "org.freedesktop.DBus.Error.UnknownMethod"
	errInvalidArgs    = "org.freedesktop.DBus.Error.InvalidArgs"
	errNotFound       = "sbus.Error.NotFound"
)

// The message if SSSD finds no user, and no domain is offline.
const (
	unmapped     = "SSSD knows no user by this certificate"
	unmappedHint = "is it in the user's entry, or does a rule of sss-certmap(5) match it? An entry is looked up again after 15 s"
)

// underSELinux is a further hint: an SELinux policy in enforcing mode may make
// dbus-daemon reject messages, which the log has as USER_AVC, or drop SSSD's
// answers, so that the deadline passes.
const underSELinux = "; if SELinux is enforcing, see ausearch -m avc,user_avc,selinux_err"

// meaning is what an error of SSSD 2.4 to 2.13, dbus-daemon or dbus-broker means for a
// login. Only names and texts are compared, because SSSD's error numbers differ between
// versions.
type meaning struct {
	name, text    string // name may end in *; text is the end of the error's message
	outcome       Outcome
	problem, hint string
}

// ofCertificate has the errors that have this meaning only as the answer to a question
// about a certificate.
var ofCertificate = []meaning{
	{errNotFound, "", NotMapped, unmapped, unmappedHint},
	{"sbus.Error.Errno", ": Invalid certificate provided", NotMapped,
		"SSSD refuses the certificate",
		"is it valid today, and is its issuer in /etc/sssd/pki/sssd_auth_ca_db.pem? See pam-cockpit-cert check, and /var/log/sssd/sssd_ifp.log"},
	{errInvalidArgs, "", NotMapped,
		"SSSD knows several users by this certificate",
		"let one of them have it"},
	{errUnknownMethod, "", Invalid,
		"this SSSD is too old to validate certificates",
		"it has to be 2.6.1 or later; see allow_unvalidated in pam_cockpit_cert(8), and its dangers"},
}

// ofStart has the errors of an SSSD that did not start.
var ofStart = []meaning{
	{errNoOwner, "", Unavailable,
		"SSSD is not running and could not be started",
		"see systemctl status sssd sssd-ifp"},
	{"org.freedesktop.systemd1.*", "", Unavailable,
		"SSSD is not running and could not be started",
		"see systemctl status sssd sssd-ifp; is one of them masked?"},
	{"org.freedesktop.DBus.Error.Spawn.*", "", Unavailable,
		"SSSD is not running and could not be started",
		"see systemctl status sssd sssd-ifp"},
	{"org.freedesktop.DBus.Error.TimedOut", "", Unavailable,
		"SSSD did not start in time",
		"is /etc/sssd/sssd.conf there and valid? See journalctl -u sssd -u sssd-ifp"},
}

// ofAnyCall has the errors that mean the same whatever was asked. The first that matches
// counts.
var ofAnyCall = []meaning{
	{"sbus.Error.Errno", ": p11_child timeout", Unavailable,
		"SSSD could not check the certificate in time",
		"does its OCSP responder answer (see certificate_verification in sssd.conf(5)), and is there a /etc/sssd/pki/sssd_auth_ca_db.pem?"},
	{"org.freedesktop.DBus.Error.Timeout", "", Unavailable,
		"SSSD could not check the certificate in time",
		"does its OCSP responder answer (see certificate_verification in sssd.conf(5)), and is there a /etc/sssd/pki/sssd_auth_ca_db.pem?"},
	{errServiceUnknown, "", Unavailable,
		"SSSD's D-Bus service is not installed",
		"install the package sssd-dbus"},
	{"org.freedesktop.DBus.Error.NoReply", "", Unavailable,
		"SSSD ended while it was asked",
		"see journalctl -u sssd -u sssd-ifp"},
	{"org.freedesktop.DBus.Error.Disconnected", "", Unavailable,
		"D-Bus ended while SSSD was asked",
		"see journalctl -u dbus"},

	{"sbus.Error.NoCA", "", Invalid,
		"SSSD has no certificate authorities to check against",
		"put the issuers' certificates into /etc/sssd/pki/sssd_auth_ca_db.pem"},
	{"org.freedesktop.DBus.Error.AuthFailed", "", Invalid,
		"SSSD does not let us ask",
		"is root in allowed_uids in the section [ifp] of sssd.conf(5)? Does user_attributes there hide the name?"},
	{"org.freedesktop.DBus.Error.AccessDenied", "", Invalid,
		"D-Bus does not let us ask SSSD",
		"look at the bus policies in /usr/share/dbus-1/system.d and /etc/dbus-1/system.d" + underSELinux},
}

func meaningOf(err dbus.Error, table []meaning) (meaning, bool) {
	for _, m := range table {
		if fits(m.name, err.Name) && strings.HasSuffix(err.Error(), m.text) {
			return m, true
		}
	}
	return meaning{}, false
}

// ofOtherCall returns the error of a call that was not about a certificate, so that
// classify does not read a meaning into it.
func ofOtherCall(err error) error {
	var remote dbus.Error
	if !errors.As(err, &remote) {
		return err
	}
	if _, mistaken := meaningOf(remote, ofCertificate); mistaken {
		return unexpected(remote)
	}
	return err
}

func unexpected(err dbus.Error) *Error {
	return invalid("SSSD answered with an error that is not expected").is(named(err))
}

func (e *Error) is(err error) *Error {
	e.Err = err
	return e
}

// classify makes an Error of an error of a call to SSSD.
func classify(ctx context.Context, err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	var remote dbus.Error
	if errors.As(err, &remote) {
		if remote.Name == errBadAnswer {
			return invalid("%s", remote.Error())
		}
		for _, table := range []struct {
			kind     error
			meanings []meaning
		}{{nil, ofCertificate}, {ErrNotStarted, ofStart}, {nil, ofAnyCall}} {
			if m, ok := meaningOf(remote, table.meanings); ok {
				return (&Error{Outcome: m.outcome, Problem: m.problem, Hint: m.hint, kind: table.kind}).is(named(remote))
			}
		}
		return unexpected(remote)
	}
	if ctx.Err() != nil {
		return &Error{
			Outcome: Unavailable,
			Problem: "SSSD did not answer in time",
			Hint:    "see systemctl status sssd sssd-ifp; the option timeout of pam_cockpit_cert(8) says how long to wait" + underSELinux,
		}
	}
	if errors.Is(err, errFraming) {
		return rubbish(err)
	}
	if hungUp(err) {
		return (&Error{Outcome: Unavailable, Problem: "D-Bus ended while SSSD was asked", Hint: "see journalctl -u dbus"}).is(err)
	}
	// godbus has not sent the call: it also checks outgoing messages.
	return invalid("asking SSSD failed").is(err)
}

// hungUp reports whether an error says that the connection has ended.
func hungUp(err error) bool {
	var network *net.OpError
	return errors.Is(err, dbus.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}

func rubbish(err error) *Error {
	return &Error{
		Outcome: Unavailable,
		Problem: "D-Bus sent rubbish",
		Hint:    "is it dbus-daemon(1) or dbus-broker(1) that listens at " + SystemBus + "?",
		Err:     err,
	}
}

// busProblem makes an Error that says why connecting to the bus failed.
func busProblem(ctx context.Context, err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	if errors.Is(err, errFraming) {
		return rubbish(err)
	}
	problem := &Error{Outcome: Unavailable, Problem: "cannot connect to D-Bus", Hint: "is dbus.service running?", Err: err}
	if timeIsUp(ctx, err) {
		// The error would only say that this process closed the socket.
		problem.Problem, problem.Err = "D-Bus did not answer in time", nil
	}
	return problem
}

// timeIsUp reports whether an error comes from the end of the context. Package net
// observes its deadline by itself, and may be the first to see it pass.
func timeIsUp(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)
}

func fits(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// named adds the name of a D-Bus error to its text: it says more than SSSD's text.
func named(err dbus.Error) error {
	return fmt.Errorf("%s: %w", err.Name, err)
}

func hasName(err error, name string) bool {
	var remote dbus.Error
	return errors.As(err, &remote) && remote.Name == name
}

func isNotFound(err error) bool { return hasName(err, errNotFound) }
