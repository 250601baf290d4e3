// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"context"
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

// bootTime is how long booting may take on a busy machine.
const bootTime = 3 * time.Minute

// Boot starts the overlay's systemd in a container with systemd-nspawn, with this
// machine's cgroups, hybrid or not, and with a loopback interface as its only
// network. The machine is stopped when the test ends. Nothing else may use the
// overlay meanwhile.
func Boot(t testing.TB, o *Overlay) *Machine {
	t.Helper()
	return boot(t, o, "--private-network")
}

// BootAt is Boot with a place in the test's network.
func BootAt(t testing.TB, o *Overlay, at Place) *Machine {
	t.Helper()
	return boot(t, o, "--network-namespace-path=/run/netns/"+at.name)
}

func boot(t testing.TB, o *Overlay, network string) *Machine {
	t.Helper()
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("needs systemd-nspawn, of the package systemd-container")
	}
	group := newCgroup(t)
	command := exec.Command("systemd-nspawn", "--quiet", "--directory="+o.Dir,
		"--register=no", "--keep-unit", network, "--link-journal=no", "--resolv-conf=off",
		"--console=pipe", "--kill-signal=SIGRTMIN+4",
		"--boot", "systemd.log_target=journal",
		// From release 256 on systemd boots with these cgroups only if forced to.
		"SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "systemd.legacy_systemd_cgroup_controller=yes")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	m := newMachine(command, bootTime)
	if err := group.start(command); err != nil {
		t.Fatalf("starting systemd-nspawn: %v", err)
	}
	m.started(command)
	var leader string
	m.stop = sync.OnceFunc(func() {
		// The container's PID 1 outlives systemd-nspawn, if that is killed.
		if pid, err := strconv.Atoi(leader); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-m.ended:
		case <-time.After(10 * time.Second):
			_ = command.Process.Kill()
			<-m.ended
		}
		group.remove(t)
	})
	t.Cleanup(m.stop)

	for leader == "" {
		leader = initOf(command.Process.Pid)
		m.alive(t)
	}
	m.network = "/proc/" + leader + "/ns/net"
	m.Shell = Shell{func(ctx context.Context, args []string) *exec.Cmd {
		enter := []string{"--target", leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root",
			"env", "--chdir=/", "--"}
		command := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
		command.Env = environment
		return command
	}}
	m.running(t)
	return m
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
