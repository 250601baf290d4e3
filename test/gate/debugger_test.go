// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// descendant stops a descendant of a stopped process at its first instruction: after
// generations forks. It returns the stopped process itself if that is 0. A process that
// strace(1) follows from the start would fail in libc before it comes to the module.
func descendant(t *testing.T, pid, generations int) int {
	t.Helper()
	if generations == 0 {
		return pid
	}
	runtime.LockOSThread() // only the debugging thread may wait
	defer runtime.UnlockOSThread()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("debugging %d: %v", pid, err)
		}
	}
	must(unix.PtraceSeize(pid))
	must(unix.Kill(pid, unix.SIGCONT))
	for range generations {
		child := 0
		for child == 0 {
			event, signal := debugged(t, pid)
			if event == unix.PTRACE_EVENT_FORK {
				number, err := unix.PtraceGetEventMsg(pid)
				must(err)
				child = int(number)
				break
			}
			must(unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACEFORK))
			must(unix.PtraceCont(pid, signal))
		}
		must(unix.PtraceDetach(pid))
		pid = child // which the kernel has stopped, too
	}
	debugged(t, pid)
	must(unix.Kill(pid, unix.SIGSTOP))
	must(unix.PtraceDetach(pid))
	return pid
}

// debugged waits until a debugged process stops, and returns the event, or the signal
// to pass on.
func debugged(t *testing.T, pid int) (event, signal int) {
	t.Helper()
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(pid, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || !status.Stopped() {
			t.Fatalf("process %d has ended: %v, %#x", pid, err, status)
		}
		if event = int(status) >> 16; event != 0 {
			return event, 0
		}
		return 0, int(status.StopSignal())
	}
}

// tracer is strace(1).
type tracer struct {
	t       *testing.T
	command *exec.Cmd
	trace   string // its file
}

// trace starts strace on a stopped process, which then goes on.
func trace(t *testing.T, pid int, arguments ...string) *tracer {
	t.Helper()
	tr := &tracer{t: t, trace: filepath.Join(t.TempDir(), "trace")}
	tr.command = exec.Command("strace", append([]string{"-o", tr.trace, "-p", fmt.Sprint(pid)}, arguments...)...)
	says, err := tr.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.command.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(says).ReadString('\n'); !strings.Contains(line, " attached") {
		t.Fatalf("strace says %q, %v", line, err)
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	return tr
}

// end has strace let go of the processes, and returns what it has written.
func (tr *tracer) end() string {
	tr.t.Helper()
	_ = tr.command.Process.Signal(unix.SIGINT)
	late := time.AfterFunc(10*time.Second, func() { _ = tr.command.Process.Kill() })
	_ = tr.command.Wait() // it ends by the signal, or with the exit status of the processes
	if !late.Stop() {
		tr.t.Error("strace does not end")
	}
	text, err := os.ReadFile(tr.trace)
	if err != nil {
		tr.t.Fatal(err)
	}
	return string(text)
}
