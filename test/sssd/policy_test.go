// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

const bobsPassword = "correct horse"

// place copies a file to /etc/pam.d.
func place(t *testing.T, from, name string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "/etc/pam.d/"+name, string(text))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// shell runs commands that have to succeed.
func shell(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// installPolicy runs pam install with the module that make built.
func installPolicy(t *testing.T, arguments ...string) string {
	t.Helper()
	call := append([]string{"pam", "install", "--module", pamhost.Built(t, "pam_cockpit_cert.so")}, arguments...)
	out, err := exec.Command(pamhost.Built(t, "pam-cockpit-cert"), call...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return string(out)
}

// With --policy=auth, the modules of the auth stack that ask the user nothing apply to
// a certificate, in the stock files of each distribution, and nothing changes for a
// password.
func TestTheAuthPolicy(t *testing.T) {
	namespace.Need(t)
	const services = "../../internal/pamconf/testdata/"
	t.Setenv("PAMHOST", pamhost.Built(t, "test/pamhost"))
	ca := pki.NewAuthority("Lab CA")
	alice, mallory := ca.Issue("alice"), ca.Issue("mallory")
	for _, test := range []struct {
		service, stacks string
		prepare         func(t *testing.T)
		runs            string
		// denials are what refuses alice, and what lets her in again.
		denials map[string][2]string
		setcred func(report pamhost.Report) bool
	}{
		{"debian-12", "debian", func(t *testing.T) {
			// As pam_faillock(8) has it, and pam_group as people add it.
			shell(t, `sed -i 's/^auth.*pam_unix.so nullok$/auth required pam_faillock.so preauth\n&/; $a auth optional pam_group.so' /etc/pam.d/common-auth
				echo '*;*;alice;Al0000-2400;games' >>/etc/security/group.conf
				echo 'cap_chown alice' >/etc/security/capability.conf`)
		}, "pam_sepermit.so, pam_faillock.so, pam_cap.so, pam_group.so, pam_listfile.so",
			map[string][2]string{
				"pam_listfile": {"echo alice >/etc/cockpit/disallowed-users", "rm /etc/cockpit/disallowed-users"},
				"pam_faillock": {locked, "rm -r /run/faillock"},
			}, func(report pamhost.Report) bool {
				// games is 60 on Debian; cap_chown is bit 0.
				return slices.Contains(report["group"], "60") && strings.Contains(report.Changes(), "new: CapInh:\t0000000000000001")
			}},
		{"fedora", "fedora", nil, "pam_sepermit.so, pam_env.so, pam_faildelay.so, pam_faillock.so",
			map[string][2]string{"pam_faillock": {locked, "rm -r /run/faillock"}},
			func(report pamhost.Report) bool { return slices.Contains(report["env"], "COCKPIT_TEST=pam_env") }},
		{"suse", "suse", func(t *testing.T) {
			shell(t, `sed -i /pam_oath/d /etc/pam.d/cockpit`) // which this system need not have
		}, "pam_env.so, pam_listfile.so",
			map[string][2]string{"pam_listfile": {"echo alice >/etc/cockpit/disallowed-users", "rm /etc/cockpit/disallowed-users"}},
			func(report pamhost.Report) bool { return slices.Contains(report["env"], "COCKPIT_TEST=pam_env") }},
		{"suse-with-postlogin", "tumbleweed", func(t *testing.T) {
			shell(t, `sed -i /pam_oath/d /etc/pam.d/cockpit; sed -i '1a auth required pam_group.so' /etc/pam.d/common-auth
				echo '*;*;alice;Al0000-2400;games' >>/etc/security/group.conf`)
		}, "pam_group.so, pam_listfile.so",
			map[string][2]string{"pam_listfile": {"echo alice >/etc/cockpit/disallowed-users", "rm /etc/cockpit/disallowed-users"}},
			func(report pamhost.Report) bool { return slices.Contains(report["group"], "60") }},
	} {
		t.Run(test.service, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			s.AddUser("alice", 61001)
			s.AddUser("bob", 61002)
			shell(t, `echo 'bob:`+bobsPassword+`' | chpasswd; mkdir -p /etc/cockpit; rm -rf /etc/cockpit/disallowed-users /run/faillock
				echo 'dir = /run/faillock' >/etc/security/faillock.conf; echo 'COCKPIT_TEST DEFAULT=pam_env' >>/etc/security/pam_env.conf`)
			t.Cleanup(func() { os.RemoveAll("/run/faillock") })
			place(t, services+"services/"+test.service, "cockpit")
			stacks, err := filepath.Glob(services + "stacks/" + test.stacks + "/*")
			if err != nil || len(stacks) == 0 {
				t.Fatalf("%v: %v", stacks, err)
			}
			for _, stack := range stacks {
				place(t, stack, filepath.Base(stack))
			}
			if test.prepare != nil {
				test.prepare(t)
			}
			s.Start(local(t))
			namespace.ListenSyslog(t)
			logIn := func(certificate *pki.Certificate, arguments ...string) pamhost.Report {
				t.Helper()
				host := pamhost.Host{Args: append([]string{"-f", "-o", "sge"}, arguments...), Noisy: true}
				if certificate != nil {
					cockpittls.Export(t, cockpittls.From257, *certificate)
					host.Prepare = cockpittls.NewInstance(t, certificate.Fingerprint()).Enter
				}
				return host.Run(t)
			}
			passwords := func() (results []string) {
				for _, password := range []string{bobsPassword, "wrong"} {
					report := logIn(nil, "-u", "bob", "-p", password)
					results = append(results, report.Get("result"), report.Get("s"))
				}
				os.RemoveAll("/run/faillock")
				return results
			}
			before := passwords()
			if before[0] != pamhost.Success || before[2] == pamhost.Success {
				t.Fatalf("the stock files do not work here: %v", before)
			}

			if said := installPolicy(t, "--policy=auth"); !strings.Contains(said, "after a certificate run: "+test.runs+"\n") {
				t.Errorf("it says %s", said)
			}
			if after := passwords(); !slices.Equal(before, after) {
				t.Errorf("passwords have %v, and had %v", after, before)
			}
			report := logIn(&alice)
			if report.Get("result") != pamhost.Success || report.Get("user") != "alice" || report.Get("s") != pamhost.Success {
				t.Errorf("alice has %v", report)
			}
			if !test.setcred(report) {
				t.Errorf("setcred is not that of the stack: %v\n%s", report, report.Changes())
			}
			if got := logIn(&mallory).Get("result"); got != pamhost.UserUnknown {
				t.Errorf("mallory has %s", got)
			}
			for name, denial := range test.denials {
				shell(t, denial[0])
				// The right password: alice must be refused, and not asked for it.
				if report := logIn(&alice, "-p", bobsPassword); report.Get("result") == pamhost.Success || report.Get("said") == refuses {
					t.Errorf("%s does not refuse alice, or in words for Cockpit 248: %v", name, report)
				}
				// As from cockpit-cert-session, to which the module has the last word.
				if report := logIn(&alice, "-u", "", "-p", ""); report.Get("result") == pamhost.Success || report.Get("said") != refuses {
					t.Errorf("%s does not refuse alice, or not in words: %v", name, report)
				}
				shell(t, denial[1])
				if got := logIn(&alice).Get("result"); got != pamhost.Success {
					t.Errorf("%s still refuses alice: %s", name, got)
				}
			}

			// Whichever line of the module an administrator removes, no user is logged in
			// without a certificate or the right password.
			for _, path := range []string{"/etc/pam.d/cockpit", "/etc/pam.d/cockpit-certificate"} {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				for i, line := range bytes.SplitAfter(text, []byte("\n")) {
					if path == "/etc/pam.d/cockpit" && !bytes.Contains(line, []byte("cert")) {
						continue
					}
					write(t, path, string(bytes.Join(slices.Delete(bytes.SplitAfter(text, []byte("\n")), i, i+1), nil)))
					for _, certificate := range []*pki.Certificate{nil, &mallory} {
						for _, arguments := range [][]string{{"-p", "wrong"}, {"-u", "bob", "-p", "wrong"}} {
							if report := logIn(certificate, arguments...); report.Get("result") == pamhost.Success {
								t.Errorf("without %q, %v logs in as %s", line, arguments, report.Get("user"))
							}
						}
					}
				}
				os.RemoveAll("/run/faillock")
				write(t, path, string(text))
			}

			// Without the module, passwords go on.
			text, err := os.ReadFile("/etc/pam.d/cockpit-certificate")
			if err != nil {
				t.Fatal(err)
			}
			shell(t, `sed -i 's,[^ ]*/pam_cockpit_cert.so,/nowhere/pam_cockpit_cert.so,' /etc/pam.d/cockpit /etc/pam.d/cockpit-certificate`)
			if after := passwords(); !slices.Equal(before, after) {
				t.Errorf("without the module passwords have %v, and had %v", after, before)
			}
			write(t, "/etc/pam.d/cockpit-certificate", string(text))

			installPolicy(t, "--policy=account")
			shell(t, "echo alice >/etc/cockpit/disallowed-users")
			if got := logIn(&alice).Get("result"); got != pamhost.Success {
				t.Errorf("with the account policy, the auth stack refuses alice: %s", got)
			}
		})
	}
}

// refuses is the module's text after another module's.
const refuses = "This system refuses the login."

// locked has pam_faillock lock alice, as three wrong passwords elsewhere do.
const locked = `printf 'auth required pam_faillock.so preauth\nauth [default=ignore] pam_unix.so\nauth [default=die] pam_faillock.so authfail\n' >/etc/pam.d/elsewhere
	for i in 1 2 3; do "$PAMHOST" -f -s elsewhere -u alice -p wrong >/dev/null 2>&1; done; faillock --dir /run/faillock --user alice | grep -q V`
