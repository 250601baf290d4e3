// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
	"pam_cockpit_cert/internal/testutil/strace"
)

// processes are the three of a login: how many forks each is away from the login process,
// and the options for strace. Each is traced alone, so that a fault in one does
// not hide the same call of another.
var processes = []struct {
	name        string
	generations int
	options     []string
}{
	{"login process", 0, nil},
	{"keeper", 1, nil},
	{"worker", 2, []string{"-f"}}, // with its threads
}

// unfailing are system calls that always succeed, or do not return.
var unfailing = map[string]bool{"exit": true, "exit_group": true, "rt_sigreturn": true, "restart_syscall": true,
	"getpid": true, "gettid": true, "getppid": true, "getuid": true, "geteuid": true, "getgid": true, "getegid": true}

// excused are system calls after whose failure the login process differs, although the
// gate did what it could. strace makes a call fail by leaving it out, but close(2) and
// wait4(2) fail only when they have had their effect, and rt_sigprocmask(2) fails only
// with arguments that nobody gives here; after sendto(2), libc connects to syslog again.
var excused = map[string]bool{"close": true, "wait4": true, "rt_sigprocmask": true, "sendto": true}

// others are failures that have a meaning of their own: the end of a file, and a file that
// is not there.
var others = map[string]string{"read": "retval=0", "openat": "error=ENOENT", "newfstatat": "error=ENOENT"}

// injection runs a login again and again. Each time, another system call fails.
type injection struct {
	prepare func(*exec.Cmd) // before the login starts
	errors  []string
	most    int // of the same call in one thread
}

// deadline is the rule's timeout in seconds, and patience what a login may take on a busy
// machine.
const deadline, patience = 3, 8

// TestAFaultAtEverySystemCall checks that no user is set, the deadline is kept, and
// nothing is left behind, whichever call of any of the three processes fails.
func TestAFaultAtEverySystemCall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	i := injection{func(*exec.Cmd) {}, []string{"EPERM", "EIO"}, 8}
	i.run(t, func(inject, result, user string) {
		if result == "" || result == pamhost.Success || user != "" {
			t.Errorf("%s: PAM result %s, user %q", inject, result, user)
		}
	})
}

// TestAFaultWithACertificate checks the same of a login that asks SSSD: it logs the
// certificate's user in, or fails.
func TestAFaultWithACertificate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(sssd.Mapping(t, "alice"))
	cockpittls.Export(t, cockpittls.From257, alice)
	const systemErr = "4" // PAM_SYSTEM_ERR: libpam fails the login after the module if it cannot write to audit(8)
	successes := 0
	i := injection{cockpittls.NewInstance(t, alice.Fingerprint()).Enter, []string{"EIO"}, 20}
	i.run(t, func(inject, result, user string) {
		switch {
		case result == pamhost.Success && user == "alice":
			successes++
		case result == "", result == pamhost.Success, user != "" && !(result == systemErr && user == "alice"):
			t.Errorf("%s: PAM result %s, user %q", inject, result, user)
		}
	})
	if successes == 0 {
		t.Error("no login reached its end")
	}
}

// fault is the n-th call of this name in a thread, and how it fails.
type fault struct {
	call string
	n    int
	how  string
}

func (f fault) String() string { return fmt.Sprintf("%s:%s:when=%d", f.call, f.how, f.n) }

// run has judge look at each login, and checks what must hold of all of them.
func (i injection) run(t *testing.T, judge func(inject, result, user string)) {
	t.Helper()
	strace.Need(t)
	dir, module := service(t), pamhost.Built(t, "pam_cockpit_cert.so")
	pamhost.Service(t, dir, "cockpit", fmt.Sprintf("auth required %s timeout=%d\n", module, deadline))
	namespace.ListenSyslog(t)
	for _, process := range processes {
		login := func(arguments ...string) (report pamhost.Report, text string) {
			var tracer *tracer
			report = pamhost.Host{
				Args:    []string{"-d", dir, "-T"},
				Prepare: i.prepare,
				AtStop: func(pid int) {
					if tracer == nil {
						tracer = trace(t, descendant(t, pid, process.generations), append(arguments, process.options...)...)
					} else {
						text = tracer.end()
					}
				},
			}.Run(t)
			return report, text
		}
		_, calls := login()
		happened, faults := 0, i.faults(calls)
		for _, f := range faults {
			inject := f.String()
			report, text := login("-e", "trace="+f.call, "-e", "inject="+inject)
			if strings.Contains(text, "(INJECTED)") {
				happened++ // Go does not wait the same number of times in each run
			}
			inject = process.name + ": " + inject
			judge(inject, report.Get("result"), report.Get("user"))
			if ms, err := strconv.ParseFloat(report.Get("ms"), 64); err != nil || ms > patience*1000 {
				t.Errorf("%s: answered after %.0f ms, %v", inject, ms, err)
			}
			if changes := report.Changes(); changes != "" && !(process.generations == 0 && excused[f.call]) {
				t.Errorf("%s: the login process changed:\n%s", inject, changes)
			}
			if left := workers(t); len(left) > 0 {
				t.Errorf("%s: still running: %v", inject, left)
			}
		}
		if happened < len(faults)/2 {
			t.Errorf("%s: only %d of %d faults happened", process.name, happened, len(faults))
		}
		t.Logf("%s: %d faults", process.name, happened)
	}
}

// faults returns the faults of all calls in a trace.
func (i injection) faults(trace string) (all []fault) {
	trace = regexp.MustCompile(`(?s)kill\(\d+, SIGSTOP\).*`).ReplaceAllString(trace, "") // the second stop
	counts, seen := map[[2]string]int{}, map[fault]bool{}
	for _, match := range regexp.MustCompile(`(?m)^(?:(\d+) +)?(\w+)\(`).FindAllStringSubmatch(trace, -1) {
		thread, call := match[1], match[2]
		counts[[2]string{thread, call}]++ // strace counts for each thread
		f := fault{call: call, n: counts[[2]string{thread, call}]}
		if seen[f] || unfailing[call] || f.n > i.most {
			continue
		}
		seen[f] = true
		for _, name := range i.errors {
			f.how = "error=" + name
			all = append(all, f)
		}
		if how, ok := others[call]; ok {
			f.how = how
			all = append(all, f)
		}
	}
	return all
}
