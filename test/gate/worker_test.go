// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// logIn starts a host that logs in as user, with a worker with this fault, and returns
// both processes once the worker has started Go.
func logIn(t *testing.T, user uint32, fault, options string) (host *exec.Cmd, worker int) {
	t.Helper()
	namespace.Need(t)
	module := pamhost.Anyones(t, "test/faulty/pam_cockpit_cert.so")
	namespace.ListenSyslog(t)
	setFault(t, fault)
	dir := filepath.Dir(module)
	pamhost.Service(t, dir, "cockpit", "auth required "+module+" "+options+"\n")
	if err := errors.Join(os.Chmod("/dev/log", 0o666), os.Chmod("/run/cockpit/tls/fault", 0o644)); err != nil {
		t.Fatal(err)
	}
	host = exec.Command(pamhost.Anyones(t, "test/pamhost"), "-d", dir)
	host.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, Pdeathsig: syscall.SIGKILL}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = host.Process.Kill()
		_ = host.Wait()
	})
	until(t, "there is a worker, with threads of Go", func() bool {
		worker = child(child(host.Process.Pid)) // the keeper is between them
		if worker == 0 {
			return false
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", worker))
		return err == nil && !bytes.Contains(status, []byte("\nThreads:\t1\n"))
	})
	return host, worker
}

// child returns a process's only child, or 0.
func child(pid int) (child int) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	if n, _ := fmt.Sscan(string(children), &child); err != nil || n != 1 {
		return 0
	}
	return child
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("10 s later, and it is not so that %s", what)
		}
	}
}

// TestPrivilegesOfTheWorker checks the worker's privileges from outside.
func TestPrivilegesOfTheWorker(t *testing.T) {
	_, worker := logIn(t, 0, "hang", "timeout=60")
	for file, wants := range map[string][]string{
		"status": {
			"CapPrm:\t0000000000000004", "CapEff:\t0000000000000004", // CAP_DAC_READ_SEARCH
			"CapInh:\t0000000000000000", "CapAmb:\t0000000000000000",
			"NoNewPrivs:\t1", "Seccomp:\t2",
			"Uid:\t0\t0\t0\t65534", "Gid:\t0\t0\t0\t65534", "Groups:\t0 ", // nobody, for files; see hidepid in sandbox.c
		},
		"limits": {`Max core file size +0 +0 .*`},
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", worker, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !regexp.MustCompile("(?m)^" + want + "$").Match(text) {
				t.Errorf("%s has no %s in\n%s", file, want, text)
			}
		}
	}
	if directory, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", worker)); err != nil || directory != "/" {
		t.Errorf("it is in %s (%v), and keeps that from being unmounted", directory, err)
	}
}

// TestNobodyLooksIntoTheWorker checks that a user cannot read the worker's files in
// /proc: those of a process that is not dumpable belong to root.
func TestNobodyLooksIntoTheWorker(t *testing.T) {
	const user = 65534
	host, worker := logIn(t, user, "hang", "timeout=60")
	for process, want := range map[int]uint32{host.Process.Pid: user, worker: 0} {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", process))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
			t.Errorf("its memory is user %d's, want %d", got, want)
		}
	}
}

// TestWorkerEndsWithItsHost checks that the worker ends with its host, however that ends.
func TestWorkerEndsWithItsHost(t *testing.T) {
	host, worker := logIn(t, 0, "ignore every signal and hang", "timeout=60")
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the worker has ended", func() bool { return !alive(worker) })
}

// TestWorkerEndsInTime checks that the worker ends in time even if its host was stopped,
// and so cannot end it.
func TestWorkerEndsInTime(t *testing.T) {
	host, worker := logIn(t, 0, "hang", "timeout=1")
	if err := host.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the worker has ended", func() bool { return !alive(worker) })
}

// alive tells whether the process is more than a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestSilence checks that with PAM_SILENT the user gets no message.
func TestSilence(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	setFault(t, "no such user")
	dir := t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+faulty+"\n")
	for _, test := range []struct {
		arguments []string
		said      string
	}{
		{nil, "The certificate does not belong to a user of this system. " +
			"To log in with a password, use a browser profile without the certificate."},
		{[]string{"-q"}, ""},
	} {
		syslog := namespace.ListenSyslog(t)
		report := pamhost.Host{Args: append([]string{"-d", dir}, test.arguments...)}.Run(t)
		if got := report.Get("result"); got != pamhost.UserUnknown {
			t.Errorf("%v: PAM result %s, want %s", test.arguments, got, pamhost.UserUnknown)
		}
		if said := report.Get("said"); said != test.said {
			t.Errorf("%v: the user reads %q, want %q", test.arguments, said, test.said)
		}
		syslog.Wait(t, "whom this system does not know") // the log is not the user's
	}
}
