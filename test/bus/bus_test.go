// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package bus_test attacks logins and root's commands over the bus, because every
// local user may send messages to their connections. The module, the command, SSSD and
// the buses are real.
package bus_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/fuse"
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

	// A process that kept the largest message would need four times as much.
	memoryMore = 8 << 10 // KiB

	hangingDir = "/run/hanging" // has the file that cannot be closed
)

// lab is a system whose SSSD maps a certificate to alice.
type lab struct {
	*sssd.SSSD
	timeout  int    // how many seconds a login may take
	dir      string // the directory of the services
	instance cockpittls.Instance
	commands []command
}

// command is one that an administrator runs, and its answer without an attacker.
type command struct {
	arguments []string
	patience  time.Duration
	answer    *regexp.Regexp
}

func newLab(t testing.TB, broker bool, timeout int) *lab {
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
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	rule := fmt.Sprintf("auth required %s timeout=%d\n", module, timeout)
	s.Write("/etc/pam.d/cockpit", rule+"account required pam_permit.so\n")
	s.Start(sssd.Mapping(t, "alice") + "[ifp]\np11_child_timeout = 5\n")
	cockpittls.Export(t, cockpittls.From257, alice)
	l := &lab{SSSD: s, timeout: timeout, dir: t.TempDir(), instance: cockpittls.NewInstance(t, alice.Fingerprint())}
	pamhost.Service(t, l.dir, "cockpit", rule)
	l.commands = []command{
		{[]string{"check", "--json", filepath.Join(l.dir, "alice.pem")}, time.Duration(timeout) * time.Second,
			regexp.MustCompile(`"user": "alice",\s+"uid": 61001,\s+"result": "success"`)},
		{[]string{"status", "--json"}, 30 * time.Second, regexp.MustCompile(`"id": "sssd",\s+"state": "ok",[^{}]*},\s+{\s+"id": "validation",\s+"state": "ok"`)},
	}
	if err := os.WriteFile(l.commands[0].arguments[2], alice.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	return l
}

// tries is how often logins are repeated because of SSSD's own faults: even without an
// attacker, one of some hundreds fails. SSSD 2.8 sometimes misses the end of its
// p11_child, reports that after its time limit, and then its InfoPipe ends.
const tries = 4

var sssdsOwn = regexp.MustCompile("SSSD could not check the certificate in time|SSSD ended while it was asked")

// logIn logs alice in as often as the arguments say. Every login must succeed.
func (l *lab) logIn(t testing.TB, arguments ...string) (report pamhost.Report) {
	t.Helper()
	for try := range tries {
		syslog := namespace.ListenSyslog(t)
		report = pamhost.Host{Args: append([]string{"-d", l.dir, "-t"}, arguments...), Prepare: l.instance.Enter}.Run(t)
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
		break
	}
	return report
}

// check checks what must hold of a login however it ends: no other user than alice is
// logged in, it ends in time, and the login process is as before.
func (l *lab) check(t testing.TB, report pamhost.Report) {
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

// ask runs a command, which must have the right answer in its time.
func (c command) ask(t *testing.T, program string) {
	t.Helper()
	for try := range tries {
		ctx, cancel := context.WithTimeout(context.Background(), c.patience+grace)
		out, err := exec.CommandContext(ctx, program, c.arguments...).CombinedOutput()
		late := ctx.Err() != nil
		cancel()
		switch right := c.answer.Match(out); {
		case late:
			t.Errorf("%v had no answer after %v", c.arguments, c.patience)
		case !right && try < tries-1 && sssdsOwn.Match(out):
			t.Logf("%v: it was SSSD: once more", c.arguments)
			continue
		case !right:
			t.Errorf("%v: %v\n%s", c.arguments, err, out)
		}
		return
	}
}

// askSlowly stops SSSD during a login and the commands, until the attacker, if there is
// one, has sent them messages. It returns the most memory that the processes of each name ever used, in KiB.
func (l *lab) askSlowly(t *testing.T, a *attacker) map[string]int {
	t.Helper()
	program := pamhost.Built(t, "pam-cockpit-cert")
	signal := func(signal syscall.Signal) {
		if pid := infoPipe(); pid == 0 || syscall.Kill(pid, signal) != nil {
			t.Errorf("no InfoPipe for the signal %v", signal)
		}
	}
	signal(syscall.SIGSTOP)
	most := map[string]int{"pamhost": 0, "pam-cockpit-cer": 0}
	var watching, asking sync.WaitGroup
	over := make(chan struct{})
	watching.Add(1)
	go func() {
		defer watching.Done()
		for {
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
				for _, status := range running() {
					for name, before := range most {
						if strings.HasPrefix(status, "Name:\t"+name+"\n") {
							most[name] = max(before, peak(status))
						}
					}
				}
			}
		}
	}()
	watching.Add(1)
	go func() {
		defer watching.Done()
		time.Sleep(500 * time.Millisecond)
		for start := time.Now(); a != nil && a.sent() == 0 && time.Since(start) < 5*time.Second; {
			time.Sleep(50 * time.Millisecond)
		}
		signal(syscall.SIGCONT)
	}()
	for _, c := range l.commands {
		asking.Add(1)
		go func() {
			defer asking.Done()
			c.ask(t, program)
		}()
	}
	l.logIn(t)
	asking.Wait()
	close(over)
	watching.Wait()
	for name, memory := range most {
		if memory == 0 {
			t.Errorf("no process %s was seen", name)
		}
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

// peak returns the most memory that a process has used, in KiB; 0 if it has a single
// thread. The worker has the name of the login process, which has no other thread.
func peak(status string) (kib int) {
	_, peak, _ := strings.Cut(status, "\nVmHWM:")
	if _, err := fmt.Sscan(peak, &kib); err != nil || strings.Contains(status, "\nThreads:\t1\n") {
		return 0
	}
	return kib
}

// running returns the status of each process, in the form of proc(5). It reaps workers
// that have ended, because this process is the first of its namespace: thousands of
// zombies would make the search slow.
func running() (found []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, path := range processes {
		text, err := os.ReadFile(path)
		switch status := string(text); {
		case err != nil:
		case !strings.Contains(status, "\nState:\tZ"):
			found = append(found, status)
		case strings.Contains(status, "\t65534\nGid:"): // the worker's user for files is nobody
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			}
		}
	}
	return found
}

// nobodyLeft waits until the logins' processes have ended.
func nobodyLeft(t *testing.T) {
	t.Helper()
	isLogin := func(status string) bool { return strings.HasPrefix(status, "Name:\tpamhost\n") }
	for deadline := time.Now().Add(10 * time.Second); slices.ContainsFunc(running(), isLogin); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a login's process does not end")
		}
	}
}

// buses are the two implementations of the system bus.
var buses = map[string]bool{"dbus-daemon": false, "dbus-broker": true}

// TestStrangersMessages checks that a local user's messages, at any moment of a login
// or of a command that root runs, change neither the answer nor how long it may take,
// and leave nothing behind.
func TestStrangersMessages(t *testing.T) {
	namespace.Need(t)
	for name, broker := range buses {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, broker, 15)
			quiet := l.askSlowly(t, nil)
			for name, attack := range attacks {
				t.Run(name, func(t *testing.T) {
					if attack.hanging {
						end := fuse.MountHanging(t, hangingDir, firstStranger, busUser(t))
						defer end()
						defer time.AfterFunc(40*time.Second, end).Stop() // what hangs cannot be killed
					}
					a := startAttacker(t, name, firstStranger)
					memory := l.askSlowly(t, a)
					logins, enough := "20", 10
					if attack.large {
						logins, enough = "3", 1
					}
					l.logIn(t, "-n", logins)
					if sent := a.stop(); sent < enough {
						t.Errorf("the attacker sent %d messages, which shows nothing", sent)
					}
					for name, most := range memory {
						if most > quiet[name]+memoryMore {
							t.Errorf("%s had %d KiB, and %d without the attack", name, most, quiet[name])
						}
					}
					nobodyLeft(t)
				})
			}
		})
	}
}

// busUser returns the user as whom the bus runs.
func busUser(t *testing.T) uint32 {
	t.Helper()
	account, err := user.Lookup("messagebus")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(uid)
}

// TestCrowd checks many logins at the same time while several users attack them.
func TestCrowd(t *testing.T) {
	namespace.Need(t)
	for name, broker := range buses {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, broker, 60)
			attackers := flood(t)
			l.logIn(t, "-j", "50", "-n", "4", "-b", "1") // one thread from the start: libc prepares for more then
			if sent := attackers.stop(); sent < 100 {
				t.Errorf("the attackers sent %d messages, which shows nothing", sent)
			}
		})
	}
}
