// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// called are the system calls of the gate, the keeper and the worker, without those
// that libpam and libc make as well: a host that cannot open or write files cannot
// report anything.
var called = []string{"pipe2", "fcntl", "clone", "clone3", "pidfd_open", "pidfd_send_signal", "kill", "wait4", "poll",
	"prctl", "getppid", "alarm", "dup2", "close_range", "unshare", "chdir", "capget", "capset", "setgroups", "setfsuid", "setfsgid",
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "rt_sigaction",
	"epoll_create1", "eventfd2", "epoll_ctl", "readlinkat", "getpeername", "getsockopt", "madvise"}

// asking are the system calls that a worker with a certificate makes in addition.
var asking = []string{"socket", "connect", "getsockname", "setsockopt", "openat2", "epoll_pwait", "sched_setscheduler", "tgkill"}

// injection runs a login again and again. Each time, another system call fails.
type injection struct {
	prepare func(*exec.Cmd) // before the login starts
	calls   []string
	faults  []string
	most    int // of the same call in one thread
}

// deadline is the rule's timeout in seconds. Whichever call fails, a login ends long
// before it, unless something waits for what does not come.
const deadline = 10

// TestAFaultAtEverySystemCall checks that no user is set, the deadline is kept, and
// nothing is left behind, whichever call of any of the three processes fails.
func TestAFaultAtEverySystemCall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	i := injection{func(*exec.Cmd) {}, called, []string{"error=EPERM", "error=EIO"}, 8}
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
		t.Skip("takes some seconds")
	}
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(sssd.Mapping(t, "alice"))
	cockpittls.Export(t, cockpittls.From257, alice)
	successes := 0
	i := injection{cockpittls.NewInstance(t, alice.Fingerprint()).Enter, slices.Concat(called, asking), []string{"error=EIO"}, 2}
	i.run(t, func(inject, result, user string) {
		switch {
		case result == pamhost.Success && user == "alice":
			successes++
		case result == "", result == pamhost.Success, user != "":
			t.Errorf("%s: PAM result %s, user %q", inject, result, user)
		}
	})
	if successes == 0 {
		t.Error("no login reached its end")
	}
}

// run has judge look at each login, and checks what must hold of all of them.
func (i injection) run(t *testing.T, judge func(inject, result, user string)) {
	t.Helper()
	strace.Need(t)
	dir, module, host := service(t), pamhost.Built(t, "pam_cockpit_cert.so"), pamhost.Built(t, "test/pamhost")
	pamhost.Service(t, dir, "cockpit", fmt.Sprintf("auth required %s timeout=%d\n", module, deadline))
	namespace.ListenSyslog(t)
	trace := filepath.Join(t.TempDir(), "trace")
	strace := func(arguments ...string) (pamhost.Report, string) {
		report := pamhost.Host{
			Program: "strace",
			Args:    append(append([]string{"-f", "-o", trace}, arguments...), host, "-d", dir),
			Prepare: i.prepare,
			Noisy:   true,
		}.Run(t)
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		return report, string(text)
	}

	// The largest number of each call in one thread, because strace counts for each thread.
	_, text := strace("-e", "trace=?"+strings.Join(i.calls, ",?"))
	counts, most := map[[2]string]int{}, map[string]int{}
	for _, match := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\(`).FindAllStringSubmatch(text, -1) {
		key := [2]string{match[1], match[2]}
		counts[key]++
		most[match[2]] = max(most[match[2]], counts[key])
	}
	runs, happened := 0, 0
	for _, call := range slices.Sorted(maps.Keys(most)) {
		for when := 1; when <= min(most[call], i.most); when++ {
			for _, fault := range i.faults {
				runs++
				inject := fmt.Sprintf("%s:%s:when=%d", call, fault, when)
				report, text := strace("-e", "trace="+call, "-e", "inject="+inject)
				if strings.Contains(text, "(INJECTED)") {
					happened++ // Go does not wait the same number of times in each run
				}
				judge(inject, report.Get("result"), report.Get("user"))
				if ms, err := strconv.ParseFloat(report.Get("ms"), 64); err != nil || ms > (deadline+1)*1000 {
					t.Errorf("%s: answered after %.0f ms, %v", inject, ms, err)
				}
				if left := workers(t); len(left) > 0 {
					t.Errorf("%s: still running: %v", inject, left)
				}
			}
		}
	}
	if happened < runs/2 {
		t.Errorf("only %d of %d faults happened", happened, runs)
	}
	t.Logf("%d faults", happened)
}
