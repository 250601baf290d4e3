// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package pamhost runs build/test/pamhost, the PAM host in C, and reads what it prints.
package pamhost

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// PAM's codes, from security/_pam_types.h.
const (
	Success         = "0"
	ServiceErr      = "3"
	PermDenied      = "6"
	AuthErr         = "7"
	AuthinfoUnavail = "9"
	UserUnknown     = "10"
	Ignore          = "25"
)

// Host says how to run pamhost.
type Host struct {
	Program string   // default: the one that make builds
	Args    []string // see pamhost -h
	Env     []string // in addition to this process's
	Stdin   *os.File
	Prepare func(*exec.Cmd) // before it starts
	Noisy   bool            // other modules in the stack write to standard error
	AtStop  func(pid int)   // each time that it has stopped itself, before it goes on; see -T
}

// Report is what pamhost printed: each key's values in order.
type Report map[string][]string

// Get returns a key's last value, or "".
func (r Report) Get(key string) string {
	values := r[key]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Changes describes what the calls changed in the host's process.
func (r Report) Changes() string {
	var b strings.Builder
	for _, key := range []string{"gone", "new", "different"} {
		for _, value := range r[key] {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
	}
	return b.String()
}

// Run authenticates. If pamhost itself fails, the test ends.
func (h Host) Run(t testing.TB) Report {
	t.Helper()
	program := h.Program
	if program == "" {
		program = Built(t, "test/pamhost")
	}
	command := exec.Command(program, h.Args...)
	command.Env = append(os.Environ(), h.Env...)
	if h.Stdin != nil { // a nil file in an interface would close it
		command.Stdin = h.Stdin
	}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if h.Prepare != nil {
		h.Prepare(command)
	}
	err := command.Start()
	if err == nil {
		for h.AtStop != nil && stops(t, command.Process.Pid) {
			h.AtStop(command.Process.Pid)
			_ = command.Process.Signal(syscall.SIGCONT)
		}
		err = command.Wait()
	}
	if err != nil || stderr.Len() > 0 && !h.Noisy {
		t.Fatalf("%s: %v\n%s%s", command, err, &stdout, &stderr)
	}
	report := Report{}
	for lines := bufio.NewScanner(&stdout); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		report[key] = append(report[key], value)
	}
	return report
}

// stops waits until a process has stopped or ended, and reports whether it has stopped.
func stops(t testing.TB, pid int) bool {
	t.Helper()
	var info unix.Siginfo
	for _, options := range []int{unix.WSTOPPED | unix.WEXITED | unix.WNOWAIT, unix.WSTOPPED | unix.WNOHANG} {
		for {
			err := unix.Waitid(unix.P_PID, pid, &info, options, nil)
			if err == nil {
				break
			}
			if err != unix.EINTR {
				t.Fatalf("waiting for pamhost: %v", err)
			}
		}
		const stopped = 5 // CLD_STOPPED, see sigaction(2)
		if info.Code != stopped {
			return false
		}
	}
	return true
}

// Built returns the absolute path of a file that make puts below build. If the file
// is not built, the test is skipped.
func Built(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	path := filepath.Join(dir, "build", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not built: run make check, which builds it", path)
	}
	return path
}

// Anyones returns a copy of a program that make puts below build, which every user
// may run: they may have no access to a clone in root's home.
func Anyones(t testing.TB, name string) string {
	t.Helper()
	program, err := os.ReadFile(Built(t, name))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "anyones")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, filepath.Base(name))
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, program, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Service writes a service file, and one for `other`, without which libpam logs an
// error.
func Service(t testing.TB, dir, name, text string) {
	t.Helper()
	for file, content := range map[string]string{name: text, "other": "auth required pam_deny.so\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
