// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	fake "pam_cockpit_cert/internal/testutil/infopipetest"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// TestAnswersThatSSSDNeverGives logs in with an impostor in place of SSSD, whose
// answers no SSSD gives that can be installed here.
func TestAnswersThatSSSDNeverGives(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	tooOld := func(more fake.Answers) fake.Answers {
		answers := fake.Answers{"FindByValidCertificate": fake.Failure("org.freedesktop.DBus.Error.UnknownMethod", "FindByValidCertificate")}
		for method, answer := range more {
			answers[method] = answer
		}
		return answers
	}
	name := func(name any) fake.Answers { return fake.Answers{"Get name": fake.Property(name)} }

	for title, test := range map[string]struct {
		answers fake.Answers
		options string
		expect
	}{
		"what a healthy SSSD answers": {
			expect: expect{result: pamhost.Success, user: "alice", log: "is user alice's"},
		},
		"an SSSD before 2.6.1": {
			answers: tooOld(nil),
			expect:  expect{result: pamhost.ServiceErr, log: "too old to validate certificates .*; it has to be 2.6.1 or later"},
		},
		"an SSSD before 2.6.1, with allow_unvalidated": {
			answers: tooOld(nil), options: "allow_unvalidated",
			expect: expect{result: pamhost.Success, user: "alice", log: "is user alice's"},
		},
		"an SSSD before 2.6.1, with allow_unvalidated, and nobody has the certificate": {
			answers: tooOld(fake.Answers{"ListByCertificate": fake.Failure("sbus.Error.NotFound", "No such file or directory")}),
			options: "allow_unvalidated",
			expect:  expect{result: pamhost.UserUnknown, log: "knows no user by this certificate"},
		},
		"an SSSD before 2.6.1, with allow_unvalidated, and two have the certificate": {
			answers: tooOld(fake.Answers{"ListByCertificate": fake.Value([]dbus.ObjectPath{fake.UserPath, fake.UserPath + "7"})}),
			options: "allow_unvalidated",
			expect:  expect{result: pamhost.UserUnknown, log: "knows several users"},
		},
		"an SSSD without authorities, with allow_unvalidated": {
			answers: fake.Answers{"FindByValidCertificate": fake.Failure("sbus.Error.NoCA", "Certificate authority file not found")},
			options: "allow_unvalidated",
			expect:  expect{result: pamhost.ServiceErr, log: "no certificate authorities"},
		},
		"a foreign path": {
			answers: fake.Answers{"FindByValidCertificate": fake.Value(dbus.ObjectPath("/com/example/alice"))},
			expect:  expect{result: pamhost.ServiceErr, log: "which is not a user"},
		},
		"a path of another type": {
			answers: fake.Answers{"FindByValidCertificate": fake.Value(string(fake.UserPath))},
			expect:  expect{result: pamhost.ServiceErr, log: `answered FindByValidCertificate with a value of type "s"`},
		},
		"an empty name": {
			answers: name(""),
			expect:  expect{result: pamhost.ServiceErr, log: "user name is empty"},
		},
		"an overlong name": {
			answers: name(strings.Repeat("n", 1000)),
			expect:  expect{result: pamhost.ServiceErr, log: "user name has 1000 bytes"},
		},
		"a name with a line break": {
			answers: name("alice\nroot"),
			expect:  expect{result: pamhost.ServiceErr, log: "has a control character"},
		},
		"a name of another type": {
			answers: name(uint32(1000)),
			expect:  expect{result: pamhost.ServiceErr, log: "user name is of type u"},
		},
		"a user ID of another type": {
			answers: fake.Answers{"Get uidNumber": fake.Property("1000")},
			expect:  expect{result: pamhost.ServiceErr, log: "user ID is of type s"},
		},
		"another account's user ID": {
			answers: fake.Answers{"Get uidNumber": fake.Property(uint32(0))},
			expect:  expect{result: pamhost.ServiceErr, log: `certificate [0-9a-f]{64} \(subject "CN=alice,O=Lab"\): REFUSED: SSSD's user 'alice' has uid 0, but`},
		},
		"another account's name": {
			answers: name("root"),
			expect:  expect{result: pamhost.ServiceErr, log: "REFUSED: SSSD's user 'root' has uid 1000, but"},
		},
		"a name that nobody has here": {
			answers: name("nobody-has-this-name"),
			expect:  expect{result: pamhost.UserUnknown, log: `certificate [0-9a-f]{64} \(subject "CN=alice,O=Lab"\): SSSD names the user 'nobody-has-this-name', whom this system does not know`},
		},
		"an offline domain": {
			answers: fake.Answers{
				"FindByValidCertificate": fake.Failure("sbus.Error.NotFound", "No such file or directory"),
				"IsOnline":               fake.Value(false),
			},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "is offline; can this machine reach the directory server"},
		},
		"no reply": {
			answers: fake.Answers{"FindByValidCertificate": {Silent: true}}, options: "timeout=2",
			expect: expect{result: pamhost.AuthinfoUnavail, log: "SSSD did not answer in time", after: 1500 * time.Millisecond},
		},
		"no reply to the last question": {
			answers: fake.Answers{"Get uidNumber": {Silent: true}}, options: "timeout=2",
			expect: expect{result: pamhost.AuthinfoUnavail, log: "SSSD did not answer in time", after: 1500 * time.Millisecond},
		},
		"gone in the midst of it": {
			answers: fake.Answers{"FindByValidCertificate": {Leave: true}},
			expect:  expect{result: pamhost.AuthinfoUnavail, log: "SSSD ended while it was asked"},
		},
	} {
		t.Run(title, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.AddUser("alice", 1000)
			s.StartBus()
			fake.Serve(t, infopipe.SystemBus, test.answers)
			report, syslog := login{certificate: alice, options: test.options}.run(t)
			test.check(t, report, syslog)
		})
	}
}

// TestUnconfigured checks a login without sssd.conf. systemd then does not start
// SSSD, and dbus-daemon waits 25 seconds for it; here dbus-daemon waits for a
// program that never takes its name.
func TestUnconfigured(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	namespace.Copy(t, "/usr/share/dbus-1/system-services")
	s.Write("/usr/share/dbus-1/system-services/"+sssd.InfoPipe+".service",
		"[D-BUS Service]\nName="+sssd.InfoPipe+"\nExec=/bin/sleep 30\nUser=root\n")
	if err := os.Chmod("/usr/share/dbus-1/system-services/"+sssd.InfoPipe+".service", 0o644); err != nil {
		t.Fatal(err)
	}
	s.StartBus()
	report, syslog := login{certificate: ca.Issue("alice")}.run(t)
	expect{
		result: pamhost.AuthinfoUnavail, log: "SSSD did not start within 5s; is /etc/sssd/sssd.conf there and valid",
		after: 4 * time.Second, within: 15 * time.Second,
	}.check(t, report, syslog)
}

// TestBusHangs checks a login with a bus that accepts connections but never answers.
func TestBusHangs(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	sssd.New(t, ca.PEM())
	socket := strings.TrimPrefix(infopipe.SystemBus, "unix:path=")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Chmod(socket, 0o666); err != nil { // like dbus-daemon's, to which every user may connect
		t.Fatal(err)
	}
	report, syslog := login{certificate: ca.Issue("alice"), options: "timeout=2"}.run(t)
	expect{
		result: pamhost.AuthinfoUnavail, log: "D-Bus did not answer in time",
		after: 1500 * time.Millisecond,
	}.check(t, report, syslog)
}

// TestGarbage checks that an exported file that is not a certificate is rejected,
// even if it has the fingerprint.
func TestGarbage(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(local(t))
	report, syslog := login{certificate: pki.Certificate{DER: []byte("garbage")}}.run(t)
	expect{result: pamhost.ServiceErr, log: "org.freedesktop.DBus.Error.IOError"}.check(t, report, syslog)
}
