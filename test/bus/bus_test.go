// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package bus_test attacks logins over the bus, because every local user may send
// messages to their connections. The module, SSSD and the buses are real.
package bus_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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

	// The uid of the first attacking user.
	firstStranger = 64000
	strangers     = 3

	// A worker that kept the largest message would need four times as much.
	memoryMore = 8 << 10 // KiB
)

// lab is a system whose SSSD maps a certificate to alice.
type lab struct {
	*sssd.SSSD
	timeout  int    // how many seconds a login may take
	dir      string // the directory of the services
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
		"[certmap/local/alice]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n[ifp]\np11_child_timeout = 5\n")
	cockpittls.Export(t, cockpittls.From257, alice)
	l := &lab{SSSD: s, timeout: timeout, dir: t.TempDir(), instance: cockpittls.NewInstance(t, alice.Fingerprint())}
	pamhost.Service(t, l.dir, "cockpit", fmt.Sprintf("auth required %s timeout=%d\n", pamhost.Built(t, "pam_cockpit_cert.so"), timeout))
	return l
}

// tries is how often logins are repeated because of SSSD's own faults: even without an
// attacker, one of some hundreds fails. SSSD 2.8 sometimes misses the end of its
// p11_child, reports that after its time limit, and then its InfoPipe ends.
const tries = 4

var sssdsOwn = regexp.MustCompile("SSSD could not check the certificate in time|SSSD ended while it was asked")

// logIn logs alice in as often as the arguments say. Every login must succeed.
func (l *lab) logIn(t *testing.T, arguments ...string) {
	t.Helper()
	for try := range tries {
		syslog := namespace.ListenSyslog(t)
		report := pamhost.Host{Args: append([]string{"-d", l.dir, "-t"}, arguments...), Prepare: l.instance.Enter}.Run(t)
		l.check(t, report)
		failed := len(report["different"])
		if report.Get("result") != pamhost.Success || failed > 0 {
			own := len(sssdsOwn.FindAllString(strings.Join(syslog.Lines(), "\n"), -1))
			if try < tries-1 && own > 0 && own >= failed {
				t.Logf("%d times it was SSSD: once more", own)
				continue
			}
			t.Errorf("PAM result %s, user %q, and others %v\n%q", report.Get("result"), report.Get("user"), report["different"], syslog.Lines())
		}
		return
	}
}

// check checks what must hold of a login however it ends: no other user than alice is
// logged in, it ends in time, and the login process is as before.
func (l *lab) check(t *testing.T, report pamhost.Report) {
	t.Helper()
	for _, other := range append(report["different"], report.Get("result")+" "+report.Get("user")) {
		if result, user, _ := strings.Cut(other, " "); (result == pamhost.Success) != (user == "alice") || result != pamhost.Success && user != "" {
			t.Errorf("PAM result %s for %q", result, user)
		}
	}
	for _, key := range []string{"gone", "new"} {
		for _, change := range report[key] {
			t.Errorf("the login process changed: %s: %s", key, change)
		}
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

// logInSlowly stops SSSD during a login, so that the attacker's messages arrive, and
// returns the most memory that the worker ever used, in KiB.
func (l *lab) logInSlowly(t *testing.T) int {
	t.Helper()
	signal := func(signal syscall.Signal) {
		if pid := infoPipe(); pid == 0 || syscall.Kill(pid, signal) != nil {
			t.Errorf("no InfoPipe for the signal %v", signal)
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

// infoPipe returns the InfoPipe's process. It does not ask the bus, because the
// attacker would attack the test's own connection.
func infoPipe() int {
	processes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range processes {
		if target, err := os.Readlink(exe); err == nil && filepath.Base(target) == "sssd_ifp" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
			return pid
		}
	}
	return 0
}

// workerMemory returns the most memory that the worker has used. The worker has the
// name of the login process, and is the only one with threads.
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

// buses are the two implementations of the system bus.
var buses = map[string]bool{"dbus-daemon": false, "dbus-broker": true}

// TestStrangersMessages checks that a local user's messages, at any moment of a login,
// change neither the user who is logged in nor how long that may take, and leave
// nothing behind.
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

// TestCrowd checks many logins at the same time while several users attack them.
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
