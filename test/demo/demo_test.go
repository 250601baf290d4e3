// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package demo_test runs the program of make demo, and checks README's statements
// about it.
package demo_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/demo"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// start starts the program of make demo in its own process group, like a shell, with
// a directory for temporary files that must stay empty.
func start(t *testing.T) (command *exec.Cmd, transcript io.Reader) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces of its own")
	}
	for _, program := range []string{"dbus-daemon", "/usr/sbin/sssd", "/usr/libexec/sssd/sssd_ifp"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here: make demo installs it", program)
		}
	}
	for _, part := range []string{"pam_cockpit_cert.so", "test/pamhost"} {
		pamhost.Built(t, part)
	}
	command = exec.Command(pamhost.Built(t, "test/demo"))
	command.Dir = "../.."
	command.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	before := left(t)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		// Tests of other packages may have control groups at the same time, some for a minute.
		suspects := slices.DeleteFunc(left(t), func(s string) bool { return slices.Contains(before, s) })
		for deadline := time.Now().Add(2 * time.Minute); len(suspects) > 0; time.Sleep(10 * time.Millisecond) {
			still := left(t)
			suspects = slices.DeleteFunc(suspects, func(s string) bool { return !slices.Contains(still, s) })
			if time.Now().After(deadline) {
				t.Fatalf("left behind:\n%s", strings.Join(suspects, "\n"))
			}
		}
	})
	return command, out
}

// left returns what a demo could leave behind: mounts, control groups, processes and
// files.
func left(t *testing.T) []string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(string(mounts), "\n")
	self, err := filepath.Abs("../../build/test/demo")
	if err != nil {
		t.Fatal(err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		if program, err := os.Readlink(process); err == nil && program == self {
			all = append(all, process)
		}
	}
	for _, pattern := range []string{"/etc/sssd/*", "/etc/pam.d/*", "/run/cockpit*", "/run/dbus*", "/var/lib/sss/*/*", os.TempDir() + "/demo*",
		"/sys/fs/cgroup/system.slice/system-cockpithttps.slice/*.service",
		"/sys/fs/cgroup/*/system.slice/system-cockpithttps.slice/*.service"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	return all
}

// TestTranscript checks that make demo prints every result, in the order of the
// logins.
func TestTranscript(t *testing.T) {
	command, out := start(t)
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	demo.Check(t, string(text))
}

// TestInterrupt ends the demo by Ctrl-C, which every process of the terminal gets, and
// like a service manager; both at its beginning and in the middle.
func TestInterrupt(t *testing.T) {
	for _, at := range []string{"", "A private machine", "1. The browser", "7. SSSD is stopped"} {
		for name, interrupt := range map[string]func(pid int) error{
			"Ctrl-C":  func(pid int) error { return syscall.Kill(-pid, syscall.SIGINT) },
			"SIGTERM": func(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) },
		} {
			t.Run(name+" at "+at, func(t *testing.T) {
				command, out := start(t)
				for lines := bufio.NewScanner(out); at != "" && lines.Scan(); {
					if strings.HasPrefix(lines.Text(), at) {
						break
					}
				}
				if err := interrupt(command.Process.Pid); err != nil {
					t.Fatal(err)
				}
				go io.Copy(io.Discard, out)
				start := time.Now()
				err := command.Wait()
				var exit *exec.ExitError
				if !errors.As(err, &exit) {
					t.Errorf("it ended with %v", err)
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it ended after %v", took)
				}
			})
		}
	}
}
