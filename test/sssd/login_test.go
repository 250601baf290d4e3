// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package sssd_test logs in with the module, a real D-Bus and a real SSSD: with
// local rules, with an LDAP directory, and with failures of each of them.
package sssd_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

func TestMain(m *testing.M) { namespace.Main(m) }

// local is the manual page's example for local users.
func local(t *testing.T) string {
	return sssd.LocalUsers(t, "../../man/pam_cockpit_cert.8")
}

// login is one login, in the control group of the certificate's cockpit-ws.
type login struct {
	certificate pki.Certificate
	release     cockpittls.Release
	options     string // of the rule
	arguments   []string
	environment []string
	setuid      bool // the host is a set-user-ID program, like cockpit-session up to 329
}

// run logs in with the module as the only rule, and returns PAM's answer and syslog.
func (l login) run(t *testing.T) (pamhost.Report, *namespace.Syslog) {
	t.Helper()
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	if l.release == 0 {
		l.release = cockpittls.From257
	}
	syslog := namespace.ListenSyslog(t)
	cockpittls.Export(t, l.release, l.certificate)
	instance := cockpittls.NewInstance(t, l.certificate.Fingerprint())
	dir := t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+module+" "+l.options+"\n")
	host := pamhost.Host{Args: append([]string{"-d", dir}, l.arguments...), Env: l.environment, Prepare: instance.Enter}
	if l.setuid {
		host.Program = "setpriv"
		host.Args = append([]string{"--ruid=64123", "--euid=0", pamhost.Built(t, "test/pamhost")}, host.Args...)
	}
	return host.Run(t), syslog
}

// expect is the expected outcome of a login.
type expect struct {
	result string
	user   string
	log    string        // a line of syslog, a regular expression; a success has one of its own
	within time.Duration // 8 s if it is zero
	after  time.Duration
}

func (e expect) check(t *testing.T, report pamhost.Report, syslog *namespace.Syslog) {
	t.Helper()
	if result, user := report.Get("result"), report.Get("user"); result != e.result || user != e.user {
		t.Errorf("PAM result %s, user %q; want %s, %q", result, user, e.result, e.user)
	}
	refused := slices.Contains([]string{pamhost.UserUnknown, pamhost.AuthinfoUnavail, pamhost.ServiceErr}, e.result)
	if said := report.Get("said"); (said != "") != refused {
		t.Errorf("the user reads %q", said)
	}
	if changes := report.Changes(); changes != "" {
		t.Errorf("the login process changed:\n%s", changes)
	}
	ms, err := strconv.ParseFloat(report.Get("ms"), 64)
	if err != nil {
		t.Fatal(err)
	}
	if e.within == 0 {
		e.within = 8 * time.Second
	}
	if took := time.Duration(ms * float64(time.Millisecond)); took > e.within || took < e.after {
		t.Errorf("took %v, want %v to %v", took, e.after, e.within)
	}
	if e.log == "" {
		e.log = `certificate [0-9a-f]{64} is user ` + regexp.QuoteMeta(e.user) + `'s \(subject "[^"]*"\)$`
	}
	syslog.Wait(t, `^<\d+>.* pamhost\[\d+\]: pam_cockpit_cert\(cockpit:auth\): .*`+e.log)
	for _, line := range syslog.Lines() {
		if strings.Contains(line, "CERTIFICATE") {
			t.Errorf("a certificate was logged: %s", line)
		}
	}
}

func TestLogin(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	unmapped := ca.Issue("mallory")
	revoked := ca.Issue("alice")
	ca.Revoke(revoked)
	const refused = "SSSD refuses the certificate"

	for name, test := range map[string]struct {
		start func(t *testing.T, s *sssd.SSSD) // default: SSSD with the local domain
		login login
		expect
		// missable: SSSD 2.8 sometimes misses the end of a p11_child that fails at
		// once, and answers 10 s later that it could not check in time.
		missable bool
	}{
		"a mapped certificate": {
			login: login{certificate: alice, arguments: []string{"-r", "2001:db8::7"}},
			expect: expect{result: pamhost.Success, user: "alice",
				log: "certificate " + alice.Fingerprint() + ` is user alice's \(subject "CN=alice,O=Lab"\); rhost=2001:db8::7$`},
		},
		"as Cockpit 209 to 249 export it": {
			login:  login{certificate: alice, release: cockpittls.From209},
			expect: expect{result: pamhost.Success, user: "alice", log: "is user alice's"},
		},
		"as Cockpit 250 to 256 export it": {
			login:  login{certificate: alice, release: cockpittls.From250},
			expect: expect{result: pamhost.Success, user: "alice", log: "is user alice's"},
		},
		"in a set-user-ID program": {
			login:  login{certificate: alice, setuid: true},
			expect: expect{result: pamhost.Success, user: "alice"},
		},
		"the user name is empty": {
			login:  login{certificate: alice, arguments: []string{"-u", ""}},
			expect: expect{result: pamhost.Success, user: "alice"},
		},
		"unmapped, with the user name empty": {
			login:  login{certificate: ca.Issue("mallory"), arguments: []string{"-u", ""}},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD knows no user by this certificate"},
		},
		"with debug": {
			login:  login{certificate: alice, options: "debug"},
			expect: expect{result: pamhost.Success, user: "alice", log: "asking SSSD for the user of certificate " + alice.Fingerprint()},
		},
		"allow_unvalidated changes nothing where SSSD validates": {
			login:  login{certificate: pki.NewAuthority("Other CA").Issue("alice"), options: "allow_unvalidated"},
			expect: expect{result: pamhost.UserUnknown, log: refused},
		},
		"unmapped": {
			login:  login{certificate: unmapped, arguments: []string{"-r", "2001:db8::7"}},
			expect: expect{result: pamhost.UserUnknown, log: `certificate ` + unmapped.Fingerprint() + ` \(subject "CN=mallory,O=Lab"\): SSSD knows no user by this certificate.*; rhost=2001:db8::7$`},
		},
		"unmapped, with a subject like a success": {
			login:  login{certificate: ca.Issue("mallory\") is user root's\n (subject \"")},
			expect: expect{result: pamhost.UserUnknown, log: `certificate [0-9a-f]{64} \(subject "CN=mallory\\"\) is user root's\\0A \(subject \\",O=Lab"\): SSSD knows`},
		},
		"unmapped, with a subject of the greatest length": {
			login:  login{certificate: ca.Issue(strings.Repeat("x", 20000))},
			expect: expect{result: pamhost.UserUnknown, log: `certificate [0-9a-f]{64} \(subject "CN=x{125}\.\.\."\): SSSD knows no user by this certificate.*does a rule of sss-certmap`},
		},
		"expired": {
			login:  login{certificate: ca.Issue("alice", pki.Expired)},
			expect: expect{result: pamhost.UserUnknown, log: refused},
		},
		"not yet valid": {
			login:  login{certificate: ca.Issue("alice", pki.Future)},
			expect: expect{result: pamhost.UserUnknown, log: refused},
		},
		"unknown authority": {
			login:  login{certificate: pki.NewAuthority("Other CA").Issue("alice")},
			expect: expect{result: pamhost.UserUnknown, log: refused},
		},
		"an authority of the same name": {
			login:  login{certificate: pki.NewAuthority("Lab CA").Issue("alice")},
			expect: expect{result: pamhost.UserUnknown, log: refused},
		},
		"self-signed": {
			login:  login{certificate: pki.SelfSigned("alice")},
			expect: expect{result: pamhost.UserUnknown, log: refused},
		},
		"revoked": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Write("/etc/sssd/pki/crl.pem", string(ca.CRL()))
				s.Start(strings.Replace(local(t), "[sssd]\n", "[sssd]\ncertificate_verification = crl_file=/etc/sssd/pki/crl.pem\n", 1))
			},
			login:  login{certificate: revoked},
			expect: expect{result: pamhost.UserUnknown, log: refused},
		},
		"not revoked, where there is a revocation list": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Write("/etc/sssd/pki/crl.pem", string(ca.CRL()))
				s.Start(strings.Replace(local(t), "[sssd]\n", "[sssd]\ncertificate_verification = crl_file=/etc/sssd/pki/crl.pem\n", 1))
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.Success, user: "alice"},
		},
		"SSSD's authorities are missing": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Start(local(t))
				if err := os.Remove(sssd.Authority); err != nil {
					t.Fatal(err)
				}
			},
			login:    login{certificate: alice},
			expect:   expect{result: pamhost.ServiceErr, log: "put the issuers' certificates into /etc/sssd/pki/sssd_auth_ca_db.pem"},
			missable: true,
		},
		"known in two domains": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.AddUser("bob", 61002)
				s.Start("[sssd]\nservices = nss, ifp\ndomains = one, two\n" + sssd.LocalDomain(t, "one") + sssd.LocalDomain(t, "two") +
					"[certmap/one/alice]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n" +
					"[certmap/two/bob]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n")
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD knows several users by this certificate"},
		},
		"a rule for a user who does not exist": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Start(strings.Replace(local(t), "local/alice", "local/nobody-such", 1))
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.UserUnknown, log: "SSSD knows no user"},
		},
		"SSSD stopped": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Start(local(t))
				s.StopSSSD()
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "SSSD is not running and could not be started"},
		},
		"SSSD's D-Bus service not installed": {
			start: func(t *testing.T, s *sssd.SSSD) {
				namespace.Copy(t, "/usr/share/dbus-1/system-services")
				if err := os.Remove("/usr/share/dbus-1/system-services/" + sssd.InfoPipe + ".service"); err != nil {
					t.Fatal(err)
				}
				s.StartWithoutInfoPipe(strings.Replace(local(t), "nss, ifp", "nss", 1))
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "install the package sssd-dbus"},
		},
		"InfoPipe not enabled, and started on demand": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.StartWithoutInfoPipe(strings.Replace(local(t), "nss, ifp", "nss", 1))
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.Success, user: "alice"},
		},
		"InfoPipe hangs": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Start(local(t))
				s.SignalInfoPipe(syscall.SIGSTOP)
			},
			login:  login{certificate: alice, options: "timeout=2"},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "SSSD did not answer in time", after: 1500 * time.Millisecond},
		},
		"InfoPipe is killed while it is asked": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Start(local(t))
				s.SignalInfoPipe(syscall.SIGSTOP) // so that it surely has not answered yet
				kill := time.AfterFunc(time.Second, func() { s.SignalInfoPipe(syscall.SIGKILL) })
				t.Cleanup(func() { kill.Stop() })
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "SSSD ended while it was asked"},
		},
		"InfoPipe does not let root ask": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Start(local(t) + "[ifp]\nallowed_uids = 12345\n")
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.ServiceErr, log: "is root in allowed_uids"},
		},
		"InfoPipe hides the name": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Start(local(t) + "[ifp]\nuser_attributes = -name\n")
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.ServiceErr, log: "user_attributes"},
		},
		"no D-Bus": {
			start:  func(*testing.T, *sssd.SSSD) {},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.AuthinfoUnavail, log: "cannot connect to D-Bus"},
		},
		"the bus refuses": {
			start: func(t *testing.T, s *sssd.SSSD) {
				s.Write("/etc/dbus-1/system.d/deny.conf", `<busconfig><policy context="mandatory">`+
					`<deny send_destination="`+sssd.InfoPipe+`"/></policy></busconfig>`)
				s.StartWithoutInfoPipe(local(t))
			},
			login:  login{certificate: alice},
			expect: expect{result: pamhost.ServiceErr, log: "D-Bus does not let us ask SSSD"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.AddUser("alice", 61001)
			if test.start == nil {
				s.Start(local(t))
			} else {
				test.start(t, s)
			}
			report, syslog := test.login.run(t)
			for range 3 {
				if report.Get("result") != pamhost.AuthinfoUnavail || !test.missable {
					break
				}
				report, syslog = test.login.run(t)
			}
			test.check(t, report, syslog)
		})
	}
}

// TestIgnore checks logins that use no certificate although everything is set up.
func TestIgnore(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(local(t))
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	dir := t.TempDir()
	// A following module tells ignore from the other results.
	rule := "auth [ignore=ignore default=die] " + module + " debug\nauth sufficient pam_debug.so\n"
	pamhost.Service(t, dir, "cockpit", rule)
	cockpittls.Export(t, cockpittls.From257, alice)

	for name, test := range map[string]struct {
		arguments []string
		prepare   func(*exec.Cmd)
		user, log string
	}{
		"the user is set": {
			arguments: []string{"-u", "root"}, prepare: cockpittls.NewInstance(t, alice.Fingerprint()).Enter,
			user: "root", log: "the user name is already set",
		},
		"no instance of cockpit-ws": {
			log: "no client certificate is in play: standard input",
		},
		"the instance for browsers without a certificate": {
			prepare: cockpittls.NewInstance(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855").Enter,
			log:     "the browser presented none",
		},
		"an instance whose certificate is not exported": {
			prepare: cockpittls.NewInstance(t, ca.Issue("alice").Fingerprint()).Enter,
			log:     "exports no certificate for the instance",
		},
	} {
		t.Run(name, func(t *testing.T) {
			syslog := namespace.ListenSyslog(t)
			host := pamhost.Host{Args: append([]string{"-d", dir}, test.arguments...), Prepare: test.prepare}
			expect{result: pamhost.Success, user: test.user, log: test.log}.check(t, host.Run(t), syslog)
		})
	}
}
