// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package bus_test attacks logins over the bus: every local user may write to
// their connections. The module, SSSD and the buses are real.
package bus_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(attackVariable); name != "" {
		if err := attackerMain(name); err != nil {
			fmt.Fprintln(os.Stderr, "the attacker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	namespace.Main(m)
}

const (
	grace = time.Second

	// The local users who attack.
	firstStranger = 64000
	strangers     = 3

	// A worker that keeps the largest message needs four times as much more.
	memoryMore = 8 << 10 // KiB
)

// lab is a system whose SSSD knows alice, and her certificate.
type lab struct {
	*sssd.SSSD
	infoPipe int    // its process: this test's own questions to the bus would be attacked, too
	timeout  int    // seconds that a login may take
	dir      string // of services
	instance cockpittls.Instance
}

func newLab(t *testing.T, broker bool, timeout int) *lab {
	t.Helper()
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s := sssd.New(t, ca.PEM())
	if broker {
		s.UseBroker()
	}
	s.AddUser("alice", 61001)
	for i := range strangers {
		s.AddUser(fmt.Sprint("stranger", i), firstStranger+i)
	}
	s.Start("[sssd]\nservices = nss, ifp\ndomains = local\n" + sssd.LocalDomain(t, "local") +
		"[certmap/local/alice]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n[ifp]\np11_child_timeout = 55\n")
	cockpittls.Export(t, cockpittls.From257, alice)
	l := &lab{SSSD: s, infoPipe: s.InfoPipeProcess(), timeout: timeout, dir: t.TempDir(), instance: cockpittls.NewInstance(t, alice.Fingerprint())}
	pamhost.Service(t, l.dir, "cockpit", fmt.Sprintf("auth required %s timeout=%d\n", pamhost.Built(t, "pam_cockpit_cert.so"), timeout))
	return l
}

// logIn logs alice in as often as the arguments say, and in no other way.
func (l *lab) logIn(t *testing.T, arguments ...string) {
	t.Helper()
	syslog := namespace.ListenSyslog(t)
	report := pamhost.Host{Args: append([]string{"-d", l.dir, "-t"}, arguments...), Prepare: l.instance.Enter}.Run(t)
	if result, user := report.Get("result"), report.Get("user"); result != pamhost.Success || user != "alice" || report.Get("different_count") != "0" {
		t.Errorf("PAM result %s, user %q, %s others: %v\n%q", result, user, report.Get("different_count"), report["different"], syslog.Lines())
	}
	if changes := report.Changes(); changes != "" {
		t.Errorf("the login process changed:\n%s", changes)
	}
	for _, value := range report["time_ms"] {
		ms, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Duration(ms * float64(time.Millisecond)); took > time.Duration(l.timeout)*time.Second+grace {
			t.Errorf("a login took %v, more than its deadline", took)
		}
	}
}

// logInSlowly has SSSD stand still during a login, so that whatever is sent
// arrives, and returns the most memory that the worker ever had, in KiB.
func (l *lab) logInSlowly(t *testing.T) int {
	t.Helper()
	signal := func(signal syscall.Signal) {
		if err := syscall.Kill(l.infoPipe, signal); err != nil {
			t.Error(err)
		}
	}
	signal(syscall.SIGSTOP)
	var most int
	var watching sync.WaitGroup
	over := make(chan struct{})
	watching.Add(1)
	go func() {
		defer watching.Done()
		for {
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
				most = max(most, workerMemory())
			}
		}
	}()
	resume := time.AfterFunc(700*time.Millisecond, func() { signal(syscall.SIGCONT) })
	defer resume.Stop()
	l.logIn(t)
	close(over)
	watching.Wait()
	if most == 0 {
		t.Error("no worker was seen")
	}
	return most
}

// workerMemory is what the worker has, or had, at most. Its process is named
// like the login's, and alone has threads.
func workerMemory() int {
	processes, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, path := range processes {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(text, []byte("Name:\tpamhost\n")) || bytes.Contains(text, []byte("\nThreads:\t1\n")) {
			continue
		}
		_, peak, _ := bytes.Cut(text, []byte("\nVmHWM:"))
		var kib int
		if _, err := fmt.Sscan(string(peak), &kib); err == nil {
			return kib
		}
	}
	return 0
}

// buses are both that systems have.
var buses = map[string]bool{"dbus-daemon": false, "dbus-broker": true}

// TestStrangersMessages: a local user's messages, at every moment of a login,
// change neither whom it logs in nor how long it may take, and leave nothing.
func TestStrangersMessages(t *testing.T) {
	namespace.Need(t)
	for name, broker := range buses {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, broker, 15)
			quiet := l.logInSlowly(t)
			for name, attack := range attacks {
				t.Run(name, func(t *testing.T) {
					a := startAttacker(t, name, firstStranger)
					memory := l.logInSlowly(t)
					logins := "20"
					if attack.large {
						logins = "3"
					}
					l.logIn(t, "-n", logins)
					if sent := a.stop(); sent < 10 && !attack.large || sent == 0 {
						t.Errorf("the attacker sent %d messages, which shows nothing", sent)
					}
					if memory > quiet+memoryMore {
						t.Errorf("the worker had %d KiB, and %d without the attack", memory, quiet)
					}
				})
			}
		})
	}
}

// TestCrowd: what several users send to many logins at the same time.
func TestCrowd(t *testing.T) {
	namespace.Need(t)
	for name, broker := range buses {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, broker, 60)
			var sent int
			var attackers []*attacker
			for i, name := range []string{"a signal with many values", "answers, unasked", "a signal with a map from booleans"} {
				attackers = append(attackers, startAttacker(t, name, uint32(firstStranger+i)))
			}
			l.logIn(t, "-j", "50", "-n", "4", "-b", "1") // one thread from the start: libc prepares for more then
			for _, a := range attackers {
				sent += a.stop()
			}
			if sent < 100 {
				t.Errorf("the attackers sent %d messages, which shows nothing", sent)
			}
		})
	}
}
