// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// called are the system calls of the gate, the keeper and the worker, without those
// that libpam and libc make as well: a host that cannot open or write files cannot
// report anything.
var called = []string{"pipe2", "fcntl", "clone", "clone3", "pidfd_open", "pidfd_send_signal", "kill", "wait4", "poll",
	"prctl", "getppid", "alarm", "dup2", "close_range", "unshare", "chdir", "capget", "capset", "setgroups", "setfsuid", "setfsgid",
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "rt_sigaction",
	"epoll_create1", "eventfd2", "epoll_ctl", "readlinkat", "getpeername", "getsockopt", "madvise"}

// TestAFaultAtEverySystemCall checks that no user is set, the deadline is kept, and
// nothing is left behind, whichever call of any of the three processes fails.
func TestAFaultAtEverySystemCall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	dir := service(t)
	if out, err := exec.Command("strace", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("needs strace, and the right to use it: %v: %s", err, out)
	}
	module, host := pamhost.Built(t, "pam_cockpit_cert.so"), pamhost.Built(t, "test/pamhost")
	pamhost.Service(t, dir, "cockpit", "auth required "+module+" timeout=2\n")
	namespace.ListenSyslog(t)
	trace := filepath.Join(t.TempDir(), "trace")
	set := "trace=?" + strings.Join(called, ",?")

	// The largest number of each call in one thread, because strace counts for each thread.
	if out, err := exec.Command("strace", "-f", "-o", trace, "-e", set, host, "-d", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	counts, most := map[[2]string]int{}, map[string]int{}
	for _, match := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\(`).FindAllStringSubmatch(string(text), -1) {
		key := [2]string{match[1], match[2]}
		counts[key]++
		most[match[2]] = max(most[match[2]], counts[key])
	}
	runs, happened := 0, 0
	for call, n := range most {
		for when := 1; when <= min(n, 8); when++ {
			for _, fault := range []string{"error=EPERM", "error=EIO"} {
				runs++
				inject := fmt.Sprintf("%s:%s:when=%d", call, fault, when)
				report := pamhost.Host{
					Program: "strace",
					Args:    []string{"-f", "-o", trace, "-e", "trace=" + call, "-e", "inject=" + inject, host, "-d", dir},
					Noisy:   true,
				}.Run(t)
				if text, err := os.ReadFile(trace); err != nil {
					t.Fatal(err)
				} else if strings.Contains(string(text), "(INJECTED)") {
					happened++ // Go does not wait the same number of times in each run
				}
				if got := report.Get("result"); got == "" || got == pamhost.Success {
					t.Errorf("%s: PAM result %s", inject, got)
				}
				if user := report.Get("user"); user != "" {
					t.Errorf("%s: PAM_USER is %q", inject, user)
				}
				if ms, err := strconv.ParseFloat(report.Get("ms"), 64); err != nil || ms > 3000 {
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
