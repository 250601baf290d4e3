// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/fuse"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/strace"
)

// TestWorkerThatCannotEnd checks that the login does not wait for a worker whose end
// hangs in the kernel, because of a file.
func TestWorkerThatCannotEnd(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	for fault, test := range map[string]struct {
		result string
		least  float64 // milliseconds
	}{
		"hold a file, and hang":   {pamhost.ServiceErr, 1900},
		"hold a file, and answer": {pamhost.PermDenied, 0},
	} {
		t.Run(fault, func(t *testing.T) {
			for _, sigchld := range []string{"default", "ignore", "reap"} {
				syslog := namespace.ListenSyslog(t)
				setFault(t, fault)
				end := fuse.MountHanging(t, "/run/cockpit/tls/mount")
				dir := t.TempDir()
				pamhost.Service(t, dir, "cockpit", "auth required "+faulty+" timeout=2\n")
				report := pamhost.Host{Args: []string{"-d", dir, "-C", sigchld}}.Run(t)
				if got := report.Get("result"); got != test.result {
					t.Errorf("%s: PAM result %s, want %s", sigchld, got, test.result)
				}
				ms, err := strconv.ParseFloat(report.Get("ms"), 64)
				if err != nil {
					t.Fatal(err)
				}
				if ms < test.least || ms > 3000 {
					t.Errorf("%s: answered after %.0f ms", sigchld, ms)
				}
				if changes := report.Changes(); changes != "" {
					t.Errorf("%s: the login process changed:\n%s", sigchld, changes)
				}
				syslog.Wait(t, `pam_cockpit_cert\(cockpit:auth\): the worker is left behind: `)
				end()
				until(t, "the worker has ended", func() bool { return len(workers(t)) == 0 })
			}
		})
	}
}

// TestKeeperThatEndsLate checks a keeper that does not end at once, because of a busy
// machine or a debugger. Unless it is reaped, it would stay as the login process's
// zombie.
func TestKeeperThatEndsLate(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	syslog := namespace.ListenSyslog(t)
	setFault(t, "answer late")
	dir := t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+faulty+" timeout=10\n")
	number := filepath.Join(dir, "number")
	debugged := make(chan error)
	go func() { debugged <- debugKeeper(number, 700*time.Millisecond) }()
	report := pamhost.Host{Args: []string{"-d", dir}, Prepare: func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `echo $$ >"$0"; exec "$@"`, number, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	}}.Run(t)
	if err := <-debugged; err != nil {
		t.Fatal(err)
	}
	if got := report.Get("result"); got != pamhost.PermDenied {
		t.Errorf("PAM result %s, want %s; %v", got, pamhost.PermDenied, syslog.Lines())
	}
	if changes := report.Changes(); changes != "" {
		t.Errorf("the login process changed:\n%s", changes)
	}
	if lines := syslog.Lines(); len(lines) > 0 {
		t.Errorf("the log says %v", lines)
	}
}

// debugKeeper debugs the keeper of the login whose process writes its PID to that file.
// A debugger is told of the keeper's end first, and holds it back for that long.
func debugKeeper(number string, long time.Duration) error {
	runtime.LockOSThread() // only the debugging thread may wait
	defer runtime.UnlockOSThread()
	keeper := 0
	for start := time.Now(); keeper == 0; time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			return errors.New("no keeper is seen")
		}
		host, _ := os.ReadFile(number)
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]s/task/%[1]s/children", strings.TrimSpace(string(host))))
		_, _ = fmt.Sscan(string(children), &keeper)
	}
	if err := unix.PtraceSeize(keeper); err != nil {
		return fmt.Errorf("debugging the keeper: %w", err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, keeper, &info, unix.WEXITED|unix.WNOWAIT|unix.WALL, nil); err != nil {
		return fmt.Errorf("waiting for the keeper's end: %w", err)
	}
	time.Sleep(long)
	_, err := unix.Wait4(keeper, nil, unix.WALL, nil)
	return err
}

// TestFilterRefusesTheFirstMeans checks that the gate ends a worker that ignores
// signals even if the host's filter rejects pidfd_send_signal.
func TestFilterRefusesTheFirstMeans(t *testing.T) {
	namespace.Need(t)
	strace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	setFault(t, "ignore every signal and hang")
	dir := t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+faulty+" timeout=1\n")
	for _, inject := range []string{
		"pidfd_send_signal:error=EPERM", "pidfd_send_signal:error=ENOSYS", "pidfd_open:error=ENOSYS",
		"pidfd_open:error=EPERM", "munmap:error=EPERM", "unshare:error=EPERM", "seccomp:error=EINVAL",
	} {
		report := pamhost.Host{
			Program: "strace",
			Args:    []string{"-f", "-o", "/dev/null", "-e", "inject=" + inject, pamhost.Built(t, "test/pamhost"), "-d", dir},
		}.Run(t)
		if got := report.Get("result"); got != pamhost.ServiceErr {
			t.Errorf("%s: PAM result %s, want %s", inject, got, pamhost.ServiceErr)
		}
		if ms, err := strconv.ParseFloat(report.Get("ms"), 64); err != nil || ms > 8000 { // a second more than its deadline; a busy machine takes longer
			t.Errorf("%s: answered after %.0f ms, %v", inject, ms, err)
		}
		if left := workers(t); len(left) > 0 {
			t.Errorf("%s: still running: %v", inject, left)
		}
	}
}

// TestHostThatLeavesTheCall checks that the worker of a call that ended by siglongjmp
// is ended by the thread's next call, and that a cancelled thread leaves nothing.
func TestHostThatLeavesTheCall(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	for _, how := range []string{"jump", "cancel"} {
		t.Run(how, func(t *testing.T) {
			namespace.ListenSyslog(t)
			setFault(t, "hang")
			dir := t.TempDir()
			pamhost.Service(t, dir, "cockpit", "auth required "+faulty+" timeout=1\n")
			report := pamhost.Host{Args: []string{"-d", dir, "-x", how}}.Run(t)
			changes := report.Changes()
			if how == "cancel" { // in libpam, once the module has returned: libpam's own socket for audit(8) stays
				changes = strings.Join(regexp.MustCompile(`(?m)^new: (.* pipe:.*|.*pidfd.*|[0-9 ]+)$`).FindAllString(changes, -1), "\n")
			}
			if changes != "" {
				t.Errorf("the login process changed:\n%s", changes)
			}
			if left := workers(t); len(left) > 0 {
				t.Errorf("still running: %v", left)
			}
		})
	}
}

// TestLimits checks that the worker raises a limit that is too low for Go, and that the
// log names the limit if it may not.
func TestLimits(t *testing.T) {
	dir := service(t)
	syslog := namespace.ListenSyslog(t)
	if got := limited(t, dir, "-S -v 524288").Get("result"); got != pamhost.PermDenied {
		t.Errorf("a soft limit: PAM result %s, want %s; %v", got, pamhost.PermDenied, syslog.Lines())
	}
	module := pamhost.Anyones(t, "pam_cockpit_cert.so")
	users := filepath.Dir(module)
	pamhost.Service(t, users, "cockpit", "auth required "+module+"\n")
	if err := os.Chmod("/dev/log", 0o666); err != nil {
		t.Fatal(err)
	}
	report := pamhost.Host{
		Program: "setpriv",
		Args: []string{"--reuid=65534", "--regid=65534", "--clear-groups",
			"sh", "-c", `ulimit -v 262144 && exec "$0" -d "$1"`, pamhost.Anyones(t, "test/pamhost"), users},
	}.Run(t)
	if got := report.Get("result"); got != pamhost.ServiceErr {
		t.Errorf("as a user: PAM result %s, want %s", got, pamhost.ServiceErr)
	}
	syslog.Wait(t, "the worker cannot run: the login process may have no more than 256 MiB of address space: allow 2048 by LimitAS=")
}

// TestChildrenInAnotherNamespace checks that the log says why the worker cannot run: in
// another PID namespace the kernel does not tell a process its parent.
func TestChildrenInAnotherNamespace(t *testing.T) {
	dir := service(t)
	syslog := namespace.ListenSyslog(t)
	report := pamhost.Host{Program: pamhost.Built(t, "test/pamhost"), Args: []string{"-d", dir, "-x", "namespace"}}.Run(t)
	if got := report.Get("result"); got != pamhost.ServiceErr {
		t.Errorf("PAM result %s, want %s", got, pamhost.ServiceErr)
	}
	syslog.Wait(t, "the worker cannot run: the login process puts its children into another PID namespace")
}
