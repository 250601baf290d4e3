// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// exactly returns the rule of container/README.md that finds a certificate by its
// serial number and issuer: the only search for userCertificate;binary that
// OpenLDAP can answer.
func exactly(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../container/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`(?m)^ +(maprule = LDAPU1:.*)$`).FindSubmatch(readme)
	if rule == nil {
		t.Fatal("container/README.md has no rule for OpenLDAP")
	}
	return "\n[certmap/lab.test/exactly]\nmatchrule = <ISSUER>^CN=Lab CA,O=Lab$\n" + string(rule[1]) + "\n"
}

// TestLoginWithDirectory logs in users whose certificates are in their entries of an
// LDAP directory.
func TestLoginWithDirectory(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	dora, ruth, twins, shared := ca.Issue("dora"), ca.Issue("ruth"), ca.Issue("twins"), ca.Issue("alice")
	people := []sssd.Person{
		{Name: "dora", UID: 62001, Certificates: [][]byte{dora.DER}},
		{Name: "root", UID: 62002, Certificates: [][]byte{ruth.DER}},
		{Name: "ann", UID: 62003, Certificates: [][]byte{twins.DER}},
		{Name: "bea", UID: 62004, Certificates: [][]byte{twins.DER}},
		{Name: "sue", UID: 62005, Certificates: [][]byte{shared.DER}},
		{Name: "eve smith", UID: 62006, Certificates: [][]byte{ca.Issue("eve").DER}},
	}
	const head = "[sssd]\nservices = nss, ifp\ndomains = lab.test\n"
	logInBefore := func(certificate pki.Certificate) func(*testing.T, *sssd.SSSD, *sssd.Directory) {
		return func(t *testing.T, s *sssd.SSSD, d *sssd.Directory) {
			s.Start(head + d.Domain("lab.test", ""))
			report, _ := login{certificate: certificate}.run(t)
			if got := report.Get("result"); got != pamhost.Success {
				t.Fatalf("PAM result %s before the directory stops, want success", got)
			}
			d.Stop()
		}
	}

	for name, test := range map[string]struct {
		start func(t *testing.T, s *sssd.SSSD, d *sssd.Directory) // default: SSSD with the directory
		login login
		expect
	}{
		"a mapped certificate": {
			login:  login{certificate: dora},
			expect: expect{result: pamhost.Success, user: "dora", log: "certificate " + dora.Fingerprint() + " is user dora's"},
		},
		"a mapped certificate in userCertificate;binary": {
			start: func(t *testing.T, s *sssd.SSSD, d *sssd.Directory) {
				if sssd.Before(t, "2.8.2") {
					t.Skip("SSSD before 2.8.2 has no rule that OpenLDAP can answer")
				}
				s.Start(head + d.Domain("lab.test", "ldap_user_certificate = userCertificate;binary\n") + exactly(t))
			},
			login:  login{certificate: dora},
			expect: expect{result: pamhost.Success, user: "dora"},
		},
		"a name with the domain": {
			start: func(_ *testing.T, s *sssd.SSSD, d *sssd.Directory) {
				s.Start(head + d.Domain("lab.test", "use_fully_qualified_names = true\n"))
			},
			login:  login{certificate: dora},
			expect: expect{result: pamhost.Success, user: "dora@lab.test"},
		},
		"a name with a blank": {
			login:  login{certificate: pki.Certificate{DER: people[5].Certificates[0]}},
			expect: expect{result: pamhost.Success, user: "eve smith"},
		},
		"unmapped": {
			login:  login{certificate: ca.Issue("nobody")},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD knows no user by this certificate"},
		},
		"in two entries": {
			login:  login{certificate: twins},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD knows several users by this certificate"},
		},
		"in the directory and in the local domain": {
			start: func(t *testing.T, s *sssd.SSSD, d *sssd.Directory) {
				s.AddUser("alice", 61001)
				s.Start("[sssd]\nservices = nss, ifp\ndomains = lab.test, local\n" + d.Domain("lab.test", "") + sssd.LocalDomain(t, "local") +
					"[certmap/local/alice]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n")
			},
			login:  login{certificate: shared},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD knows several users by this certificate"},
		},
		"the entry's name is root": {
			login:  login{certificate: ruth},
			expect: expect{result: pamhost.ServiceErr, log: "REFUSED: SSSD's user 'root' has uid 62002, but this system's account of that name has uid 0"},
		},
		"a local account shadows the entry": {
			start: func(t *testing.T, s *sssd.SSSD, d *sssd.Directory) {
				s.AddUser("dora", 2999)
				s.Start(head + d.Domain("lab.test", ""))
			},
			login:  login{certificate: dora},
			expect: expect{result: pamhost.ServiceErr, log: "REFUSED: SSSD's user 'dora' has uid 62001, but this system's account of that name has uid 2999"},
		},
		"libc does not know SSSD's users": {
			start: func(t *testing.T, s *sssd.SSSD, d *sssd.Directory) {
				if out, err := exec.Command("sed", "-i", "s/ sss//", "/etc/nsswitch.conf").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				s.Start(head + d.Domain("lab.test", ""))
			},
			login:  login{certificate: dora},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD names the user 'dora', whom this system does not know: is sss in the passwd line"},
		},
		"the directory is down, and the user was seen before": {
			start:  logInBefore(dora),
			login:  login{certificate: dora},
			expect: expect{result: pamhost.Success, user: "dora"},
		},
		"the directory is down, and another user was seen before": {
			start:  logInBefore(dora),
			login:  login{certificate: twins},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "its domain .*lab_2etest is offline"},
		},
		"the directory was never there": {
			start: func(_ *testing.T, s *sssd.SSSD, d *sssd.Directory) {
				d.Stop()
				s.Start(head + d.Domain("lab.test", ""))
			},
			login:  login{certificate: dora},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "its domain .*lab_2etest is offline"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			d := s.StartDirectory(people...)
			if test.start == nil {
				s.Start(head + d.Domain("lab.test", ""))
			} else {
				test.start(t, s, d)
			}
			report, syslog := test.login.run(t)
			test.check(t, report, syslog)
		})
	}
}
