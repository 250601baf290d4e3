// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Neighbour is a system that is not booted and has a container's network: a
// person's own computer, as far as the container can tell.
type Neighbour struct {
	Shell
	network string // the network namespace, in /proc
}

// Beside starts a neighbour of a container in the overlay. All its commands see
// the same processes, and the same /run. It ends with the test.
func Beside(t testing.TB, m *Machine, o *Overlay) *Neighbour {
	t.Helper()
	if m.network == "" {
		t.Fatal("only a container has a network that can be shared")
	}
	// PID 1 of the neighbour, which also reaps what its commands leave behind.
	first := o.inside(context.Background(), []string{"sh", "-c", "echo up; exec cat"})
	first.Args = append([]string{"nsenter", "--net=" + m.network, "--"}, first.Args...)
	path, err := exec.LookPath("nsenter")
	if err != nil {
		t.Skip("needs nsenter, of the package util-linux")
	}
	first.Path = path
	stdin, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatalf("starting a neighbour: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = first.Process.Kill()
		_ = first.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "up\n" {
		t.Fatalf("starting a neighbour: %q, %v", line, err)
	}
	n := &Neighbour{network: m.network}
	target := strconv.Itoa(first.Process.Pid)
	n.command = func(ctx context.Context, args []string) *exec.Cmd {
		enter := []string{"--target", target, "--mount", "--uts", "--ipc", "--pid", "--net=" + n.network, "--", "chroot", o.Dir}
		command := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
		command.Env = environment
		command.Cancel = func() error { return endEntered(command.Process) }
		return command
	}
	return n
}

// endEntered ends what nsenter has started, and so nsenter, which has to be there
// to reap it: PID 1 of a process namespace ends only after all others in it.
func endEntered(nsenter *os.Process) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", nsenter.Pid))
	if err != nil {
		return err
	}
	children := strings.Fields(string(text))
	if len(children) == 0 {
		return nsenter.Kill()
	}
	child, err := strconv.Atoi(children[0])
	if err != nil {
		return err
	}
	return syscall.Kill(child, syscall.SIGKILL)
}

// DialContext connects to a port of the network that neighbour and container
// share; for net/http's Transport.
func (n *Neighbour) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	// The thread comes back to its own network before it does anything else: were
	// it to end instead, the kernel would end the processes that it has started.
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer own.Close()
	theirs, err := os.Open(n.network)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer theirs.Close()
	if err := unix.Setns(int(theirs.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	// Of an address in numbers, Go dials on the very thread that asks.
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("coming back from another network: %v", back))
	}
	runtime.UnlockOSThread()
	return conn, err
}
