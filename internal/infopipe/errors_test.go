// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	fake "pam_cockpit_cert/internal/testutil/infopipetest"
)

// TestErrors checks what each error that SSSD 2.4 to 2.13, dbus-daemon or
// dbus-broker was seen to answer means for a login.
func TestErrors(t *testing.T) {
	address := fake.StartBus(t, "")
	const dbusError = "org.freedesktop.DBus.Error."
	for _, test := range []struct {
		name, text string
		outcome    infopipe.Outcome
		says       string
	}{
		{"sbus.Error.NotFound", "No such file or directory", infopipe.NotMapped, "no user"},
		{"sbus.Error.Errno", "1432158298: Invalid certificate provided", infopipe.NotMapped, "refuses"},
		{"sbus.Error.Errno", "1432158300: Invalid certificate provided", infopipe.NotMapped, "refuses"},
		{dbusError + "InvalidArgs", "Invalid argument", infopipe.NotMapped, "several users"},

		{"sbus.Error.Errno", "1432158321: p11_child timeout", infopipe.Unavailable, "in time"},
		{dbusError + "Timeout", "Connection timed out", infopipe.Unavailable, "in time"},
		{dbusError + "NoReply", "Message recipient disconnected from message bus without replying", infopipe.Unavailable, "ended"},
		{dbusError + "Disconnected", "Connection is closed", infopipe.Unavailable, "ended"},
		{dbusError + "TimedOut", "Failed to activate service: timed out", infopipe.Unavailable, "did not start"},

		{dbusError + "UnknownMethod", "FindByValidCertificate", infopipe.Invalid, "too old"},
		{"sbus.Error.NoCA", "Certificate authority file not found", infopipe.Invalid, "sssd_auth_ca_db.pem"},
		{dbusError + "AuthFailed", "Permission denied", infopipe.Invalid, "allowed_uids"},
		{dbusError + "AccessDenied", "Rejected send message", infopipe.Invalid, "ausearch -m avc,user_avc,selinux_err"},
		{dbusError + "IOError", "Input/output error", infopipe.Invalid, "not expected"},
		{"sbus.Error.Errno", "10: No child processes", infopipe.Invalid, "not expected"},
		{"sbus.Error.Internal", "", infopipe.Invalid, "not expected"},
	} {
		t.Run(test.name+" "+test.text, func(t *testing.T) {
			sssd := fake.Serve(t, address, fake.Answers{
				"FindByValidCertificate": fake.Failure(test.name, test.text),
				"ListByCertificate":      fake.Value([]dbus.ObjectPath{}),
			})
			user, err := ask(t, &infopipe.Client{Address: address, AllowUnvalidated: test.says != "too old"}, 5*time.Second)
			check(t, user, err, test.outcome, test.says)
			if !strings.Contains(err.Error(), test.name) {
				t.Errorf("error %q does not tell the name", err)
			}
			for _, call := range sssd.Calls() {
				if strings.HasPrefix(call, "FindByCertificate") {
					t.Error("mapped without validation after an SSSD that can validate refused to")
				}
			}
		})
	}
}

// TestWithoutValidation checks that a certificate is mapped without validation
// only if SSSD is too old to validate, and only if allowed.
func TestWithoutValidation(t *testing.T) {
	address := fake.StartBus(t, "")
	answers := func() fake.Answers {
		return fake.Answers{"FindByValidCertificate": fake.Failure("org.freedesktop.DBus.Error.UnknownMethod", "FindByValidCertificate")}
	}
	t.Run("allowed", func(t *testing.T) {
		fake.Serve(t, address, answers())
		user, err := ask(t, &infopipe.Client{Address: address, AllowUnvalidated: true}, 5*time.Second)
		if err != nil || user.Name != "alice" {
			t.Errorf("%+v, %v", user, err)
		}
	})
	t.Run("allowed, and another user has the certificate too", func(t *testing.T) {
		several := answers()
		several["ListByCertificate"] = fake.Value([]dbus.ObjectPath{fake.UserPath, fake.UserPath + "7"})
		fake.Serve(t, address, several)
		user, err := ask(t, &infopipe.Client{Address: address, AllowUnvalidated: true}, 5*time.Second)
		check(t, user, err, infopipe.NotMapped, "several users")
	})
	t.Run("allowed, and the user is unknown", func(t *testing.T) {
		unknown := answers()
		unknown["ListByCertificate"] = fake.Value([]dbus.ObjectPath{})
		fake.Serve(t, address, unknown)
		user, err := ask(t, &infopipe.Client{Address: address, AllowUnvalidated: true}, 5*time.Second)
		check(t, user, err, infopipe.NotMapped, "no user")
	})
	t.Run("allowed, and the domain is offline", func(t *testing.T) {
		offline := answers()
		offline["ListByCertificate"], offline["IsOnline"] = fake.Value([]dbus.ObjectPath{}), fake.Value(false)
		fake.Serve(t, address, offline)
		user, err := ask(t, &infopipe.Client{Address: address, AllowUnvalidated: true}, 5*time.Second)
		check(t, user, err, infopipe.Unavailable, "offline")
	})
	t.Run("not allowed", func(t *testing.T) {
		sssd := fake.Serve(t, address, answers())
		user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
		check(t, user, err, infopipe.Invalid, "allow_unvalidated")
		for _, call := range sssd.Calls() {
			if strings.HasPrefix(call, "FindByCertificate") {
				t.Error("asked for a user without validation")
			}
		}
	})
}

// TestOffline checks that NotFound counts only if all domains are online: SSSD
// also answers it when it cannot reach the directory server.
func TestOffline(t *testing.T) {
	address := fake.StartBus(t, "")
	notFound := fake.Failure("sbus.Error.NotFound", "No such file or directory")
	const second = fake.DomainPath + "2"
	for title, test := range map[string]struct {
		answers fake.Answers
		outcome infopipe.Outcome
		text    string
	}{
		"online":                           {fake.Answers{}, infopipe.NotMapped, "no user"},
		"offline":                          {fake.Answers{"IsOnline": fake.Value(false)}, infopipe.Unavailable, "offline"},
		"two domains, which are online":    {fake.Answers{"ListDomains": fake.Value([]dbus.ObjectPath{fake.DomainPath, second})}, infopipe.NotMapped, "no user"},
		"a domain that does not answer":    {fake.Answers{"IsOnline": {Silent: true}}, infopipe.Unavailable, "does not answer"},
		"no domains":                       {fake.Answers{"ListDomains": fake.Value([]dbus.ObjectPath{})}, infopipe.NotMapped, "no user"},
		"domains that are a secret":        {fake.Answers{"ListDomains": fake.Failure("org.freedesktop.DBus.Error.AuthFailed", "")}, infopipe.Unavailable, "which domains"},
		"online in another type":           {fake.Answers{"IsOnline": fake.Value("no")}, infopipe.Unavailable, "does not say that it is online"},
		"a back end that was just started": {fake.Answers{"IsOnline": fake.Failure("sbus.Error.Errno", "1432158251: SSSD is offline")}, infopipe.Unavailable, "SSSD is offline"},
	} {
		t.Run(title, func(t *testing.T) {
			test.answers["FindByValidCertificate"] = notFound
			test.answers["ListByCertificate"] = fake.Value([]dbus.ObjectPath{})
			fake.Serve(t, address, test.answers)
			start := time.Now()
			user, err := ask(t, &infopipe.Client{Address: address}, 20*time.Second)
			check(t, user, err, test.outcome, test.text)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v; the question after a NotFound is bounded to 1 s", took)
			}
		})
	}
}

// TestErrorsOfOtherCalls checks that an error whose name has a meaning for a certificate
// does not make its user unknown, nor SSSD too old, if another call was answered with it.
func TestErrorsOfOtherCalls(t *testing.T) {
	address := fake.StartBus(t, "")
	for name, text := range map[string]string{
		"sbus.Error.NotFound":                      "No such file or directory",
		"org.freedesktop.DBus.Error.InvalidArgs":   "Invalid argument",
		"org.freedesktop.DBus.Error.UnknownMethod": "Unknown method",
		"sbus.Error.Errno":                         "1432158298: Invalid certificate provided",
	} {
		for _, at := range []string{"Ping", "Get name", "Get uidNumber"} {
			if at == "Ping" && strings.HasSuffix(name, "UnknownMethod") {
				continue // SSSD answers, which is all that it is asked
			}
			t.Run(at+" "+name, func(t *testing.T) {
				fake.Serve(t, address, fake.Answers{at: fake.Failure(name, text)})
				user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
				outcome := infopipe.Invalid
				if at != "Ping" && strings.HasSuffix(name, "NotFound") {
					outcome = infopipe.Unavailable // the user has gone in between, or SSSD's back end has restarted
				}
				check(t, user, err, outcome, text)
				if says := err.Error(); strings.Contains(says, "by this certificate") || strings.Contains(says, "too old") {
					t.Errorf("error %q", says)
				}
			})
		}
	}
}

// TestLongErrors checks that a long text of an error leaves room for the hint in a line of
// the log.
func TestLongErrors(t *testing.T) {
	address := fake.StartBus(t, "")
	fake.Serve(t, address, fake.Answers{"FindByValidCertificate": fake.Failure("com.example.Odd", strings.Repeat("\u00e9", 20000))})
	user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
	check(t, user, err, infopipe.Invalid, "com.example.Odd")
	if text := err.Error(); len(text) > 600 || !utf8.ValidString(text) {
		t.Errorf("it has %d bytes: %q", len(text), text)
	}
}

// TestDomains checks the names of the domains, which SSSD has as object paths.
func TestDomains(t *testing.T) {
	address := fake.StartBus(t, "")
	client := &infopipe.Client{Address: address}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if names, err := client.Domains(ctx); err == nil {
		t.Errorf("without SSSD there are the domains %q", names)
	}
	fake.Serve(t, address, fake.Answers{"ListDomains": fake.Value([]dbus.ObjectPath{
		fake.DomainPath, "/org/freedesktop/sssd/infopipe/Domains/caf_c3_a9_2d1_5fa", "/elsewhere", fake.DomainPath + "_zz", fake.DomainPath + "_2"})})
	names, err := client.Domains(ctx)
	if want := []string{"lab.test", "caf\u00e9-1_a"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("the domains are %q, %v; want %q", names, err, want)
	}
}

// TestContradictions checks that two answers that contradict each other do not
// make a user unknown: while SSSD's back end restarts, only one of them has the user.
func TestContradictions(t *testing.T) {
	address := fake.StartBus(t, "")
	notFound := fake.Failure("sbus.Error.NotFound", "No such file or directory")
	none := fake.Value([]dbus.ObjectPath{})
	starting := fake.Failure("sbus.Error.Errno", "1432158251: SSSD is offline")
	for title, test := range map[string]struct {
		answers fake.Answers
		text    string
	}{
		"not found, and listed":            {fake.Answers{"FindByValidCertificate": notFound}, "at the same time"},
		"found, and not listed: offline":   {fake.Answers{"ListByCertificate": none, "IsOnline": fake.Value(false)}, "is offline"},
		"found, and not listed: starting":  {fake.Answers{"ListByCertificate": none, "IsOnline": starting}, "SSSD is offline"},
		"found, and then gone: it started": {fake.Answers{"Get name": notFound, "IsOnline": starting}, "SSSD is offline"},
	} {
		t.Run(title, func(t *testing.T) {
			fake.Serve(t, address, test.answers)
			user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
			check(t, user, err, infopipe.Unavailable, test.text)
		})
	}
}
