// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Machine is a booted system, in a container or in a virtual machine.
type Machine struct {
	Shell
	console  console
	ended    chan struct{} // closed when it has ended
	deadline time.Time     // for booting
	stop     func()
	network  string // a container's network namespace, in /proc
}

// newMachine keeps the command's output. Booting may take as long as limit.
func newMachine(command *exec.Cmd, limit time.Duration) *Machine {
	m := &Machine{ended: make(chan struct{}), deadline: time.Now().Add(limit)}
	command.Stdout, command.Stderr = &m.console, &m.console
	return m
}

// started watches over the command, which has been started.
func (m *Machine) started(command *exec.Cmd) {
	go func() { _ = command.Wait(); close(m.ended) }()
}

// running waits until systemd has finished booting.
func (m *Machine) running(t testing.TB) {
	t.Helper()
	for {
		out, _ := m.Try(t, "systemctl", "is-system-running")
		if state := strings.TrimSpace(out); state == "running" || state == "degraded" {
			return
		}
		m.alive(t)
	}
}

// alive waits a moment, and fails when the machine has ended or takes too long.
func (m *Machine) alive(t testing.TB) {
	t.Helper()
	select {
	case <-m.ended:
		t.Fatalf("the machine ended while it booted:\n%s", &m.console)
	case <-time.After(50 * time.Millisecond):
	}
	if time.Now().After(m.deadline) {
		t.Fatalf("the machine has not booted in time:\n%s", &m.console)
	}
}

// Stop ends the machine like a power cut. The end of the test does that, too.
func (m *Machine) Stop() { m.stop() }

// Journal is a place in the machine's journal.
type Journal struct {
	machine *Machine
	cursor  string
}

// Journal returns the end of the journal, from which later entries can be read.
func (m *Machine) Journal(t testing.TB) Journal {
	t.Helper()
	out := m.Run(t, "journalctl", "--quiet", "--lines=0", "--show-cursor")
	_, cursor, ok := strings.Cut(strings.TrimSpace(out), "-- cursor: ")
	if !ok {
		t.Fatalf("the journal has no cursor: %q", out)
	}
	return Journal{m, cursor}
}

// Since returns the later entries that journalctl's arguments select, in its short
// format.
func (j Journal) Since(t testing.TB, args ...string) string {
	t.Helper()
	_, _ = j.machine.Try(t, "journalctl", "--sync")
	return j.machine.Run(t, append([]string{"journalctl", "--quiet", "--no-pager", "--after-cursor=" + j.cursor}, args...)...)
}

// environment is the environment of commands in a machine.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
}

// console keeps a machine's output.
type console struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return tail(c.out.String(), 60)
}
