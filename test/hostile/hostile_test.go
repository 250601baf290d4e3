// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package hostile_test shows that a client of cockpit-session cannot become
// somebody else, whatever it sends: the module, cockpit-session and SSSD are
// real, and cockpit-session listens at a socket, as it does from Cockpit 330 on.
package hostile_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/test/cockpit"
	"pam_cockpit_cert/test/pamhost"
	"pam_cockpit_cert/test/pki"
	"pam_cockpit_cert/test/private"
	"pam_cockpit_cert/test/sssd"
)

// Debian's cockpit-session of before 330 does not listen itself, and asks its
// peer nothing; the rest of a login by "Basic" is the same.
const cockpitSession = "/usr/lib/cockpit/cockpit-session"

const (
	bin      = "/usr/local/bin" // where cockpit-session looks for the bridge first
	patience = 30 * time.Second

	// clientVariable makes this binary a client.
	clientVariable = "PAM_COCKPIT_CERT_HOSTILE_CLIENT"

	// The instance for browsers without a certificate: the SHA-256 of nothing.
	none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func TestMain(m *testing.M) {
	if argument := os.Getenv(clientVariable); argument != "" {
		clientMain(argument)
	}
	private.Main(m, "/var/log", bin)
}

func TestOnlyTheControlGroupDecides(t *testing.T) {
	private.Need(t)
	for _, program := range []string{cockpitSession, "systemd-socket-activate"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}
	ca := pki.NewAuthority("Lab CA")
	alice, bob, absent := ca.Issue("alice"), ca.Issue("bob"), ca.Issue("alice")
	if err := os.MkdirAll("/var/log/sssd", 0o755); err != nil { // it is private, and empty
		t.Fatal(err)
	}
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 5001)
	s.AddUser("bob", 5002)
	s.Start("[sssd]\nservices = nss, ifp\ndomains = local\n" + sssd.LocalDomain(t, "local") +
		"[certmap/local/alice]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n" +
		"[certmap/local/bob]\nmatchrule = <SUBJECT>^CN=bob,O=Lab$\n")
	pamhost.Service(t, "/etc/pam.d", "cockpit",
		"auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] "+pamhost.Built(t, "pam_cockpit_cert.so")+"\n"+
			"auth required pam_unix.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n")
	if err := os.WriteFile(filepath.Join(bin, "cockpit-bridge"), []byte("#!/bin/sh\necho in as $(id -un)\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	socket := listen(t)

	// Both have their sessions: their certificates are there for the taking.
	token := filepath.Base(cockpit.Export(t, cockpit.From257, alice))
	cockpit.Export(t, cockpit.From257, bob)

	const nobodys = "Basic Og==" // what cockpit-cert-session sends
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	attempts := map[string]attempt{
		"no user name":                                      {Response: nobodys},
		"no user name at all, then hers":                    {Response: "Basic ", Answer: "alice"},
		"her name":                                          {Response: basic("alice", "")},
		"her name as the password":                          {Response: basic("alice", "alice")},
		"her name behind a line feed":                       {Response: basic("\nalice", "")},
		"root's name":                                       {Response: basic("root", "")},
		"her token":                                         {Response: "tls-cert " + token},
		"her token as the user name":                        {Response: basic(token, "")},
		"her token as the answer":                           {Response: "Basic ", Answer: token},
		"her fingerprint":                                   {Response: "tls-cert " + alice.Fingerprint()},
		"a path to her certificate":                         {Response: "tls-cert ../clients/" + token},
		"her certificate as the user name":                  {Response: basic(string(alice.PEM()), "")},
		"no user name, by way of cockpit-cert-session":      {Response: "tls-cert " + token, Via: pamhost.Anyones(t, "cockpit-cert-session")},
		"no user name, by a connection whose maker is gone": {Response: nobodys, Deserted: true},
	}
	const nested = ".service/system.slice/system-cockpithttps.slice/cockpit-wsinstance-https@"
	for _, place := range []struct {
		name  string
		group string            // the instance; empty for where the tests run
		in    map[string]string // attempts that succeed, and whose session it is
	}{
		{"outside of any instance", "", nil},
		{"in the instance for no certificate", none, nil},
		{"in the instance of a certificate that nobody presents", absent.Fingerprint(), nil},
		{"in a group below bob's that looks like alice's", bob.Fingerprint() + nested + alice.Fingerprint(), nil},
		{"in bob's instance", bob.Fingerprint(), map[string]string{
			"no user name": "bob", "no user name at all, then hers": "bob", "her token as the answer": "bob",
			"no user name, by way of cockpit-cert-session": "bob",
		}},
		{"in alice's own", alice.Fingerprint(), map[string]string{
			"no user name": "alice", "no user name at all, then hers": "alice", "her token as the answer": "alice",
			"no user name, by way of cockpit-cert-session": "alice",
		}},
	} {
		t.Run(place.name, func(t *testing.T) {
			enter := func(*exec.Cmd) {}
			if place.group != "" {
				enter = cockpit.NewInstance(t, place.group).Enter
			}
			for name, attempt := range attempts {
				t.Run(name, func(t *testing.T) {
					attempt.Socket = socket
					outcome := run(t, attempt, enter)
					user, in := strings.CutPrefix(outcome, "ended: in as ")
					switch want := place.in[name]; {
					case in && user != want:
						t.Errorf("the client is in, as %s", user)
					case !in && want != "":
						t.Errorf("the client is not in as %s: %s", want, outcome)
					case !in && outcome != "ended:" && !strings.HasPrefix(outcome, "problem: "):
						t.Errorf("not an outcome: %s", outcome)
					}
				})
			}
		})
	}
}

// listen has cockpit-session at a socket: one process for each connection,
// which is its standard input and output, as systemd would.
func listen(t *testing.T) string {
	t.Helper()
	const socket = "/run/cockpit/session"
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	listener := exec.Command("systemd-socket-activate", "--accept", "--inetd", "--listen="+socket, cockpitSession, "localhost")
	listener.Stderr = &log
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		listener.Process.Kill()
		listener.Wait()
		if t.Failed() {
			t.Logf("cockpit-session:\n%s", &log)
		}
	})
	for deadline := time.Now().Add(patience); os.Chmod(socket, 0o666) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
	return socket
}

// run has a process make the attempt, and returns what came of it.
func run(t *testing.T, a attempt, enter func(*exec.Cmd)) string {
	t.Helper()
	argument, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	client := exec.Command(self)
	client.Env = append(os.Environ(), clientVariable+"="+string(argument))
	client.Stderr = os.Stderr
	enter(client)
	output, err := client.Output()
	outcome := strings.TrimSpace(strings.TrimPrefix(string(output), "deserted\n"))
	if err != nil {
		t.Fatalf("%v: %s", err, outcome)
	}
	return outcome
}
