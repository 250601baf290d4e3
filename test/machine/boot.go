// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Machine is a booted system.
type Machine struct {
	Shell
	console *console
	stop    func()
}

// bootTime bounds booting, on a machine with other things to do.
const bootTime = 3 * time.Minute

// Boot starts the overlay's systemd in a container by systemd-nspawn, with
// this machine's cgroups, hybrid or not, and no network but its own loopback.
// It is stopped when the test ends. Nothing else may use the overlay then.
func Boot(t testing.TB, o *Overlay) *Machine {
	t.Helper()
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("needs systemd-nspawn, of the package systemd-container")
	}
	group := newCgroup(t)
	console := &console{}
	command := exec.Command("systemd-nspawn", "--quiet", "--directory="+o.Dir,
		"--register=no", "--keep-unit", "--private-network", "--link-journal=no", "--resolv-conf=off",
		"--console=pipe", "--kill-signal=SIGRTMIN+4",
		"--boot", "systemd.log_target=journal",
		// From release 256 on systemd boots on these cgroups under protest only.
		"SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "systemd.legacy_systemd_cgroup_controller=yes")
	command.Stdout, command.Stderr = console, console
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := group.start(command); err != nil {
		t.Fatalf("starting systemd-nspawn: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }()

	m := &Machine{console: console}
	var leader string
	m.stop = sync.OnceFunc(func() {
		// The container's PID 1 outlives systemd-nspawn, if that is killed.
		if pid, err := strconv.Atoi(leader); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = command.Process.Kill()
			<-ended
		}
		group.remove(t)
	})
	t.Cleanup(m.stop)

	deadline := time.Now().Add(bootTime)
	for leader == "" {
		leader = initOf(command.Process.Pid)
		m.alive(t, ended, deadline)
	}
	m.Shell = Shell{func(ctx context.Context, args []string) *exec.Cmd {
		enter := []string{"--target", leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root",
			"env", "--chdir=/", "--"}
		command := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
		command.Env = environment
		return command
	}}
	m.running(t, ended, deadline)
	return m
}

// running waits until systemd has done all that it has to do at boot.
func (m *Machine) running(t testing.TB, ended <-chan struct{}, deadline time.Time) {
	t.Helper()
	for {
		out, _ := m.Try(t, "systemctl", "is-system-running")
		if state := strings.TrimSpace(out); state == "running" || state == "degraded" {
			return
		}
		m.alive(t, ended, deadline)
	}
}

// alive waits a moment, and fails when the machine has ended or takes too long.
func (m *Machine) alive(t testing.TB, ended <-chan struct{}, deadline time.Time) {
	t.Helper()
	select {
	case <-ended:
		t.Fatalf("the machine ended while it booted:\n%s", m.console)
	case <-time.After(50 * time.Millisecond):
	}
	if time.Now().After(deadline) {
		t.Fatalf("the machine has not booted after %v:\n%s", bootTime, m.console)
	}
}

// Stop ends the machine as a power cut would. The test's end does it, too.
func (m *Machine) Stop() { m.stop() }

// Journal is a place in the machine's journal.
type Journal struct {
	machine *Machine
	cursor  string
}

// Journal returns the journal's end; what is written from now on can be read there.
func (m *Machine) Journal(t testing.TB) Journal {
	t.Helper()
	out := m.Run(t, "journalctl", "--quiet", "--lines=0", "--show-cursor")
	_, cursor, ok := strings.Cut(strings.TrimSpace(out), "-- cursor: ")
	if !ok {
		t.Fatalf("the journal has no cursor: %q", out)
	}
	return Journal{m, cursor}
}

// Since returns what has been written, in journalctl's short format, of what
// the arguments to journalctl select.
func (j Journal) Since(t testing.TB, args ...string) string {
	t.Helper()
	_, _ = j.machine.Try(t, "journalctl", "--sync")
	return j.machine.Run(t, append([]string{"journalctl", "--quiet", "--no-pager", "--after-cursor=" + j.cursor}, args...)...)
}

// environment is that of commands.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
}

// initOf finds the container's PID 1 among systemd-nspawn's children.
func initOf(nspawn int) string {
	children, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return ""
	}
	for _, path := range children {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var parent, inside string
		var depth int
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			switch fields[0] {
			case "PPid:":
				parent = fields[1]
			case "NSpid:":
				depth, inside = len(fields)-1, fields[len(fields)-1]
			}
		}
		if parent == strconv.Itoa(nspawn) && inside == "1" && depth > 1 {
			return filepath.Base(filepath.Dir(path))
		}
	}
	return ""
}

// console keeps what a machine says.
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

// cgroup is a folder in every hierarchy: two systemds in the same one would
// take each other's units for their own.
type cgroup struct{ dirs []string }

var cgroups struct {
	sync.Mutex
	count int
}

func newCgroup(t testing.TB) *cgroup {
	t.Helper()
	cgroups.Lock()
	defer cgroups.Unlock()
	cgroups.count++
	// The process number of this namespace says nothing; the time does.
	name := fmt.Sprintf("pam_cockpit_cert-%d-%d", time.Now().UnixNano(), cgroups.count)
	mounts, err := cgroupMounts()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	group := &cgroup{}
	for line := range strings.Lines(strings.TrimSuffix(string(text), "\n")) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		mount, ok := mounts[controllers]
		// A new cpuset has no processors.
		if !ok || strings.Contains(controllers, "cpuset") {
			continue
		}
		dir := filepath.Join(mount, path, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatalf("making a cgroup: %v", err)
		}
		group.dirs = append(group.dirs, dir)
	}
	return group
}

// cgroupMounts maps /proc/self/cgroup's second field to a mount point.
func cgroupMounts() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts := map[string]string{}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		switch kind[0] {
		case "cgroup2":
			mounts[""] = fields[4]
		case "cgroup":
			var controllers []string
			for _, option := range strings.Split(kind[2], ",") {
				switch option {
				case "rw", "ro", "xattr", "clone_children", "noprefix":
				default:
					if !strings.HasPrefix(option, "release_agent=") {
						controllers = append(controllers, option)
					}
				}
			}
			mounts[strings.Join(controllers, ",")] = fields[4]
		}
	}
	return mounts, nil
}

// start starts a command in the cgroup.
func (g *cgroup) start(command *exec.Cmd) error {
	script := `for dir in "$@"; do [ "$dir" != -- ] || break; echo $$ >"$dir/cgroup.procs"; shift; done; shift; exec "$@"`
	args := append([]string{"sh", "-euc", script, "sh"}, g.dirs...)
	command.Args = append(append(args, "--"), command.Args...)
	path, err := exec.LookPath("sh")
	if err != nil {
		return err
	}
	command.Path = path
	return command.Start()
}

// remove removes the cgroup and those below it, once their processes are gone.
func (g *cgroup) remove(t testing.TB) {
	deadline := time.Now().Add(10 * time.Second)
	for _, dir := range g.dirs {
		for {
			err := removeTree(dir)
			if err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("removing a cgroup: %v", err)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
