// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/oldkernel"
)

// TestProcOfAnotherNamespace checks a login process in a PID namespace of its own whose
// /proc is still that of the namespace around it. There another process has the peer's
// number, and may be in another user's instance.
func TestProcOfAnotherNamespace(t *testing.T) {
	if !oldkernel.HasPeerPidfd() {
		t.Skip("without SO_PEERPIDFD the process that holds the connection is the proof")
	}
	const envInside = "CLIENTCERT_TEST_INSIDE"
	if os.Getenv(envInside) == "" {
		command := exec.Command(executable(t), "-test.v", "-test.run=^"+t.Name()+"$")
		command.Env = append(os.Environ(), envInside+"=1")
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
		out, err := command.CombinedOutput()
		if errors.Is(err, unix.EPERM) {
			t.Skipf("needs the right to make a PID namespace: %v", err)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	peer, stdin := connected(t)
	proc := newProc(t)
	proc.place(peer.Process.Pid, unit(certificateAlice.Fingerprint())) // of the process that has this number outside
	if got := find(t, Source{Proc: string(proc), TLSDir: export(t), Stdin: stdin}); got != "failed" {
		t.Errorf("got %s, want failed", got)
	}
}
