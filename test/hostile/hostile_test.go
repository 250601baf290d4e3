// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package hostile_test checks that a client of cockpit-session cannot log in as
// another user, whatever it sends. The module, cockpit-session and SSSD are real,
// and cockpit-session listens at a socket, as in Cockpit 330 and later.
package hostile_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/oldkernel"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// Debian's cockpit-session before 330 does not listen itself, and does not look at
// its peer; the rest of a login by "Basic" is the same.
const cockpitSession = "/usr/lib/cockpit/cockpit-session"

const (
	bin      = "/usr/local/bin" // where cockpit-session looks for the bridge first
	patience = 30 * time.Second

	// clientVariable makes this binary a client.
	clientVariable = "PAM_COCKPIT_CERT_HOSTILE_CLIENT"
	// oldKernelVariable makes it execute the program of its arguments, as on a
	// kernel before 6.5.
	oldKernelVariable = "PAM_COCKPIT_CERT_OLD_KERNEL"

	// none is the instance for browsers without a certificate: the SHA-256 of an
	// empty string.
	none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func TestMain(m *testing.M) {
	if argument := os.Getenv(clientVariable); argument != "" {
		clientMain(argument)
	}
	if os.Getenv(oldKernelVariable) != "" {
		fmt.Fprintln(os.Stderr, oldkernel.Exec(os.Args[1:]))
		os.Exit(1)
	}
	namespace.Main(m, "/var/log", bin)
}

// TestOnlyTheControlGroupDecides makes the attempts on this machine's kernel, and
// as on a kernel that cannot pin a socket's peer.
func TestOnlyTheControlGroupDecides(t *testing.T) {
	namespace.Need(t)
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
	s.Start(sssd.Mapping(t, "alice", "bob"))
	pamhost.Service(t, "/etc/pam.d", "cockpit",
		"auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] "+pamhost.Built(t, "pam_cockpit_cert.so")+"\n"+
			"auth required pam_unix.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n")
	const bridge = `#!/bin/sh
init='
{"command":"init","version":1,"user":"'$(id -un)'"}'
printf '%s\n%s' "${#init}" "$init"
`
	if err := os.WriteFile(filepath.Join(bin, "cockpit-bridge"), []byte(bridge), 0o755); err != nil {
		t.Fatal(err)
	}
	// Both users have sessions, so that both certificates are exported.
	token := filepath.Base(cockpittls.Export(t, cockpittls.From257, alice))
	cockpittls.Export(t, cockpittls.From257, bob)

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
	places := []place{
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
	}
	for _, kernel := range []struct {
		name string
		old  bool
		proc string // options of /proc, see proc(5)
	}{{"this kernel", false, ""}, {"a kernel without SO_PEERPIDFD", true, ""}, {"a /proc that hides processes", false, "hidepid=2"}} {
		t.Run(kernel.name, func(t *testing.T) {
			if kernel.proc != "" {
				if err := unix.Mount("proc", "/proc", "proc", unix.MS_REMOUNT, kernel.proc); err != nil {
					t.Fatal(err)
				}
				defer unix.Mount("proc", "/proc", "proc", unix.MS_REMOUNT, "hidepid=0")
			}
			listener := listen(t, kernel.old)
			for _, place := range places {
				t.Run(place.name, func(t *testing.T) {
					enter := func(*exec.Cmd) {}
					if place.group != "" {
						enter = cockpittls.NewInstance(t, place.group).Enter
					}
					for name, attempt := range attempts {
						t.Run(name, func(t *testing.T) {
							attempt.Socket = listener.socket
							place.judge(t, name, run(t, attempt, enter))
						})
					}
				})
			}
			t.Run("the number of bob's process, once alice's has it", func(t *testing.T) {
				listener.recycled(t, cockpittls.NewInstance(t, bob.Fingerprint()), cockpittls.NewInstance(t, alice.Fingerprint()))
			})
		})
	}
}

// place is the instance in which a client runs, and the attempts that succeed there.
type place struct {
	name  string
	group string            // the instance; empty for the control group of the tests
	in    map[string]string // the attempts that succeed, and the session's user
}

func (p place) judge(t *testing.T, attempt, outcome string) {
	t.Helper()
	user, in := strings.CutPrefix(outcome, "in as ")
	switch want := p.in[attempt]; {
	case in && user != want:
		t.Errorf("the client is in, as %s", user)
	case !in && want != "":
		t.Errorf("the client is not in as %s: %s", want, outcome)
	case !in && outcome != "ended:" && !strings.HasPrefix(outcome, "problem: "):
		t.Errorf("not an outcome: %s", outcome)
	}
}

// listener starts a cockpit-session for each connection to a socket, like systemd,
// with the connection as its standard input and output.
type listener struct {
	socket  string
	process *os.Process
}

func listen(t *testing.T, oldKernel bool) listener {
	t.Helper()
	const socket = "/run/cockpit/session"
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	command := exec.Command("systemd-socket-activate", "--accept", "--inetd", "--listen="+socket, cockpitSession, "localhost")
	if oldKernel {
		command = exec.Command("/proc/self/exe", command.Args...)
		command.Env = append(os.Environ(), oldKernelVariable+"=1")
	}
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		os.Remove(socket)
		if t.Failed() {
			t.Logf("cockpit-session:\n%s", &log)
		}
	})
	for deadline := time.Now().Add(patience); os.Chmod(socket, 0o666) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
	return listener{socket, command.Process}
}

// recycled is an attack by PID reuse: a process of the attacker's instance connects,
// leaves the connection to a child, and exits. Once a process of the victim's
// instance has its PID, the child goes on. The PAM host starts last.
func (l listener) recycled(t *testing.T, attacker, victim cockpittls.Instance) {
	if err := l.process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer l.process.Signal(unix.SIGCONT)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		client := command(t, attempt{Socket: l.socket, Response: "Basic Og==", Deserted: true}, attacker.Enter)
		said, theirs, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer said.Close()
		client.Stdout = theirs
		err = client.Run()
		theirs.Close()
		if err != nil {
			t.Fatal(err)
		}
		number := client.Process.Pid
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", fmt.Append(nil, number-1), 0); err != nil {
			t.Skipf("numbers cannot be chosen here: %v", err)
		}
		other := exec.Command("sleep", "60")
		victim.Enter(other)
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		defer other.Wait()
		defer other.Process.Kill()
		if other.Process.Pid != number {
			continue
		}
		if err := l.process.Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		outcome, err := io.ReadAll(said)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.TrimSpace(string(outcome)); !strings.HasPrefix(text, "deserted\nproblem: ") {
			t.Errorf("the client got %q", text)
		}
		return
	}
	t.Fatal("no process got the number again")
}

// run starts a process that makes the attempt, and returns the outcome.
func run(t *testing.T, a attempt, enter func(*exec.Cmd)) string {
	t.Helper()
	output, err := command(t, a, enter).Output()
	outcome := strings.TrimSpace(strings.TrimPrefix(string(output), "deserted\n"))
	if err != nil {
		t.Fatalf("%v: %s", err, outcome)
	}
	return outcome
}

// command returns the process that makes the attempt.
func command(t *testing.T, a attempt, enter func(*exec.Cmd)) *exec.Cmd {
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
	return client
}
