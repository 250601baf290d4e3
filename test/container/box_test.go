// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package container

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long anything may take on a busy machine.
const patience = 90 * time.Second

// sigrtmin is glibc's SIGRTMIN: glibc itself uses the kernel's first two.
const sigrtmin = syscall.Signal(34)

// The ends of the virtual cable between the outside and the container.
const (
	outside = "10.213.7.1"
	inside  = "10.213.7.2"
)

// box is a running container. podman needs cgroup v2 and other features that many
// build machines lack, so that systemd-nspawn stands in for it, with the capabilities
// of the Quadlet unit and podman's tmpfs and mounts.
type box struct {
	t       *testing.T
	nspawn  *exec.Cmd
	done    chan struct{}
	init    int // PID of the container's systemd
	console string
}

// mount mounts a file or directory of the outside at a path inside: "ro" or "rw".
type mount struct{ source, target, mode string }

// start boots root, like `podman run`, and waits until systemd has booted.
func start(t *testing.T, root string, mounts ...mount) *box {
	t.Helper()
	b := &box{t: t, done: make(chan struct{}), console: filepath.Join(t.TempDir(), "console")}
	console, err := os.Create(b.console)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	if err := os.MkdirAll("/run/systemd/nspawn", 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--quiet", "--directory=" + root, "--boot", "--register=no", "--keep-unit", "--machine=cockpit",
		"--hostname=cockpit", "--console=read-only", "--kill-signal=SIGRTMIN+3", "--resolv-conf=off",
		"--drop-capability=" + strings.Join(others(unit(t).capabilities()), ","), "--network-veth",
	}
	for _, m := range mounts {
		option := "--bind="
		if m.mode == "ro" {
			option = "--bind-ro="
		}
		args = append(args, option+m.source+":"+m.target)
	}
	// Its own cgroup, so that several machines can run at the same time, and its own
	// network, with the test's outside. The audit identity is that of an
	// administrator's login, as with `podman run`; it cannot be changed inside.
	group := newGroup(t)
	identity := "[ ! -w /proc/self/loginuid ] || echo 0 >/proc/self/loginuid; "
	line := append([]string{"-c", group.enter() + identity + `exec systemd-nspawn "$@"`, "sh"}, args...)
	b.nspawn = exec.Command("sh", line...)
	b.nspawn.Stdout, b.nspawn.Stderr = console, console
	b.nspawn.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := b.nspawn.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = b.nspawn.Wait()
		close(b.done)
	}()
	t.Cleanup(func() {
		b.stop()
		if t.Failed() {
			t.Logf("the container's console:\n%s", b.log())
		}
	})

	b.until("its first process", func() bool { b.init = firstOf(b.nspawn.Process.Pid); return b.init != 0 })
	b.until("the network's cable", func() bool { return b.outside("ip", "link", "show", "ve-cockpit") == nil })
	for _, line := range []string{
		"ip link set lo up",
		"ip addr add " + outside + "/24 dev ve-cockpit",
		"ip link set ve-cockpit up",
	} {
		if err := b.outside(strings.Fields(line)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{"ip addr add " + inside + "/24 dev host0", "ip link set host0 up"} {
		if err := b.enter([]string{"-n"}, strings.Fields(line)...); err != nil {
			t.Fatal(err)
		}
	}
	b.until("the end of its start", func() bool {
		out, _ := b.output("systemctl", "is-system-running")
		return out == "running" || out == "degraded"
	})
	return b
}

// stop ends the container as podman does, by the image's stop signal.
func (b *box) stop() {
	select {
	case <-b.done:
		return
	default:
	}
	if b.init != 0 {
		_ = syscall.Kill(b.init, sigrtmin+3)
	}
	select {
	case <-b.done:
	case <-time.After(patience):
		b.t.Error("the container did not stop; killing it")
		_ = syscall.Kill(b.init, syscall.SIGKILL)
		_ = b.nspawn.Process.Kill()
		<-b.done
	}
}

// log returns the output on the container's console, which podman would log.
func (b *box) log() string {
	data, err := os.ReadFile(b.console)
	if err != nil {
		b.t.Error(err)
	}
	return strings.ReplaceAll(string(data), "\r", "")
}

// output runs a command inside, like `podman exec`.
func (b *box) output(args ...string) (string, error) {
	cmd := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(b.init), "--all"}, args...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

// enter runs a command in some of the container's namespaces.
func (b *box) enter(namespaces []string, args ...string) error {
	line := append([]string{"--target", strconv.Itoa(b.init)}, namespaces...)
	return check(exec.Command("nsenter", append(line, args...)...))
}

// outsideCommand prepares a command at the other end of the container's cable.
func (b *box) outsideCommand(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", strconv.Itoa(b.nspawn.Process.Pid), "--net"}, args...)...)
}

func (b *box) outside(args ...string) error { return check(b.outsideCommand(args...)) }

func check(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", cmd, err, out)
	}
	return nil
}

// until waits for something to become true.
func (b *box) until(what string, holds func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		select {
		case <-b.done:
			b.t.Fatalf("the container ended before %s", what)
		default:
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the container did not reach %s within %v", what, patience)
		}
	}
}

// firstOf returns the first process of a container: the child of systemd-nspawn that
// has PID 1 inside. For a moment, the process that starts it is a child, too.
func firstOf(nspawn int) int {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", nspawn))
	if err != nil {
		return 0
	}
	for _, child := range strings.Fields(string(children)) {
		status, err := os.ReadFile("/proc/" + child + "/status")
		if err != nil || !numberOne.Match(status) {
			continue
		}
		n, _ := strconv.Atoi(child)
		return n
	}
	return 0
}

var numberOne = regexp.MustCompile(`(?m)^NSpid:.*\s1$`)

// group is a cgroup with the same name in every hierarchy that systemd uses. In a
// hybrid layout, systemd-nspawn makes the cgroup of version 2 also in the other
// hierarchy, and leaves it there.
type group []string

func newGroup(t *testing.T) group {
	t.Helper()
	var g group
	name := fmt.Sprintf("pam-cockpit-cert-%d", time.Now().UnixNano())
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue // not mounted here
		}
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		g = append(g, dir)
	}
	t.Cleanup(func() {
		for _, dir := range g {
			if err := removeGroup(dir); err != nil {
				t.Error(err)
			}
		}
	})
	return g
}

// enter returns a shell script that enters the cgroup.
func (g group) enter() string {
	var s strings.Builder
	for _, dir := range g {
		fmt.Fprintf(&s, "echo $$ >%s/cgroup.procs; ", dir)
	}
	return s.String()
}

// removeGroup removes a cgroup and those below. It tries again, because the kernel
// keeps a cgroup busy for a moment after its last process has ended.
func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Rmdir(dir)
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
	}
}
