// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// envContainer names the environment variable with the container's directory in
// each hierarchy: kind=path,kind=path.
const envContainer = "CLIENTCERT_TEST_CONTAINER"

// TestRealControlGroups runs in a container with its own PID 1 and control
// groups, below the control group of the test, so that it changes nothing else
// on the machine.
func TestRealControlGroups(t *testing.T) {
	if inside := os.Getenv(envContainer); inside != "" {
		insideContainer(t, inside)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can make control groups")
	}
	hierarchies := ownGroups(t)
	if len(hierarchies) == 0 {
		t.Skip("no control group hierarchy of systemd is mounted here")
	}
	var inside []string
	for kind, group := range hierarchies {
		base := filepath.Join(group, fmt.Sprintf("clientcert-test-%d", os.Getpid()))
		t.Cleanup(func() { removeGroups(t, base) })
		if err := os.MkdirAll(filepath.Join(base, "init.scope"), 0o755); err != nil {
			t.Skipf("control groups cannot be made here: %v", err)
		}
		inside = append(inside, kind+"="+base)
	}
	container := exec.Command(executable(t), "-test.v", "-test.run=^TestRealControlGroups$")
	container.Env = append(os.Environ(), envContainer+"="+strings.Join(inside, ","))
	container.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	var out strings.Builder
	container.Stdout, container.Stderr = &out, &out
	stdin, err := container.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := container.Start(); err != nil {
		t.Skipf("containers cannot be started here: %v", err)
	}
	for _, group := range inside {
		_, base, _ := strings.Cut(group, "=")
		join(t, filepath.Join(base, "init.scope"), container.Process.Pid)
	}
	stdin.Close() // go on
	if err := container.Wait(); err != nil {
		t.Errorf("in the container: %v\n%s", err, &out)
	} else {
		t.Logf("in the container:\n%s", &out)
	}

	t.Run("a container's instance is none of the host's", func(t *testing.T) {
		peer, stdin := connected(t)
		for _, group := range inside {
			_, base, _ := strings.Cut(group, "=")
			join(t, base+unit(certificateAlice.Fingerprint()), peer.Process.Pid)
		}
		if got := find(t, Source{TLSDir: export(t), Stdin: stdin}); got != "none" {
			t.Errorf("got %s", got)
		}
	})
	againWithoutPidfd(t, "without SO_PEERPIDFD", unix.ENOPROTOOPT)
}

// insideContainer runs as PID 1.
func insideContainer(t *testing.T, inside string) {
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil { // until we have been put into our groups
		t.Fatal("told something")
	}
	proc := t.TempDir()
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(proc, unix.MNT_DETACH) })
	bases := map[string]string{}
	for _, group := range strings.Split(inside, ",") {
		kind, base, _ := strings.Cut(group, "=")
		bases[kind] = base
	}
	// place moves a process, in all hierarchies or in those named.
	place := func(t *testing.T, pid int, group string, kinds ...string) {
		t.Helper()
		for kind, base := range bases {
			if len(kinds) == 0 || slices.Contains(kinds, kind) {
				join(t, base+group, pid)
			}
		}
	}
	alice, bob := certificateAlice.Fingerprint(), certificateBob.Fingerprint()
	source := Source{Proc: proc, TLSDir: export(t)}

	for name, test := range map[string]struct {
		group, want string
		kinds       []string
	}{
		"an instance":                         {unit(alice), alice, nil},
		"an instance in the unified only":     {unit(alice), alice, []string{"unified"}},
		"an instance in systemd's own only":   {unit(alice), alice, []string{"named"}},
		"the instance without certificate":    {unit(withoutCertificate), "none", nil},
		"a user's imitation":                  {"/user.slice/user-1000.slice/user@1000.service" + unit(alice), "none", nil},
		"a group below an instance":           {unit(alice) + "/child", "none", nil},
		"another service":                     {"/system.slice/sshd.service", "none", nil},
		"the same group as PID 1":             {"/init.scope", "none", nil},
		"an imitation below the init's scope": {"/init.scope" + unit(alice), "none", nil},
	} {
		if len(test.kinds) == 1 && bases[test.kinds[0]] == "" {
			continue
		}
		t.Run("peer in "+name, func(t *testing.T) {
			peer, stdin := connected(t)
			place(t, peer.Process.Pid, test.group, test.kinds...)
			s := source
			s.Stdin, s.Holder = stdin, procDir(proc).hold(t, peer.Process.Pid)
			if got := find(t, s); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
		t.Run("ourselves in "+name, func(t *testing.T) {
			command := exec.Command(executable(t), source.Proc, source.TLSDir)
			ours, theirs, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			command.ExtraFiles = []*os.File{ours}
			finder := start(t, "find", command, theirs)
			place(t, finder.Process.Pid, test.group, test.kinds...)
			theirs.Write([]byte{0})
			if got := finder.line(t); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if len(bases) == 2 {
		t.Run("a peer in two instances", func(t *testing.T) {
			peer, stdin := connected(t)
			place(t, peer.Process.Pid, unit(alice), "unified")
			place(t, peer.Process.Pid, unit(bob), "named")
			s := source
			s.Stdin, s.Holder = stdin, procDir(proc).hold(t, peer.Process.Pid)
			if got := find(t, s); got != "rejected" {
				t.Errorf("got %s", got)
			}
		})
	}
	// Root's group sees all processes, unless the mount's gid= names another
	// group; then only CAP_SYS_PTRACE helps, see proc(5).
	const read, ptrace = 1 << unix.CAP_DAC_READ_SEARCH, 1 << unix.CAP_SYS_PTRACE
	for _, test := range []struct {
		options      string
		capabilities uint32
		want         string
	}{
		{"hidepid=2", read, alice},
		{"hidepid=2,gid=1", read, "failed"},
		{"hidepid=2,gid=1", read | ptrace, alice},
	} {
		t.Run(fmt.Sprintf("a /proc with %s, and capabilities %#x", test.options, test.capabilities), func(t *testing.T) {
			hiding := t.TempDir()
			if err := unix.Mount("proc", hiding, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, test.options); err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(hiding, unix.MNT_DETACH) })
			peer, stdin := connected(t)
			place(t, peer.Process.Pid, unit(alice))
			s := source
			s.Proc, s.Stdin, s.Holder = hiding, stdin, procDir(proc).hold(t, peer.Process.Pid)
			withCapabilities(t, test.capabilities, func() {
				if got := find(t, s); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		})
	}
	t.Run("a victim with the number of the one that connected", func(t *testing.T) {
		for waiting := patience(t); waiting(); {
			attacker, stdin := connected(t)
			pid := attacker.Process.Pid
			attacker.end()
			if err := os.WriteFile(proc+"/sys/kernel/ns_last_pid", fmt.Append(nil, pid-1), 0); err != nil {
				t.Skipf("numbers cannot be chosen here: %v", err)
			}
			victim := startChild(t, "sleep")
			if victim.Process.Pid != pid {
				victim.end()
				continue
			}
			place(t, pid, unit(bob))
			s := source
			s.Stdin, s.Holder = stdin, -int(unix.ESRCH)
			if got := find(t, s); got != "rejected" {
				t.Errorf("got %s", got)
			}
			return
		}
	})
}

// join moves a process into a control group.
func join(t *testing.T, group string, pid int) {
	t.Helper()
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), fmt.Append(nil, pid), 0); err != nil {
		t.Fatal(err)
	}
}

// removeGroups removes a control group and those below. It tries again, because
// the kernel keeps a process in its group for a moment after it was reaped.
func removeGroups(t *testing.T, base string) {
	for waiting := patience(t); waiting(); {
		var groups []string
		_ = filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		for _, group := range slices.Backward(groups) {
			_ = os.Remove(group)
		}
		if _, err := os.Stat(base); errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// ownGroups returns the directory of this process's control group in each
// mounted hierarchy of systemd.
func ownGroups(t *testing.T) map[string]string {
	t.Helper()
	self, err := openProcess(Proc, "self")
	if err != nil {
		t.Fatal(err)
	}
	defer self.close()
	own, err := self.cgroups()
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(mounts)), "\n") {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		root, directory := where[3], where[4]
		below := func(path string) string { return directory + strings.TrimPrefix(path, strings.TrimSuffix(root, "/")) }
		switch {
		case what[0] == "cgroup2" && own.unified != "":
			groups["unified"] = below(own.unified)
		case what[0] == "cgroup" && slices.Contains(strings.Split(what[2], ","), "name=systemd") && own.named != "":
			groups["named"] = below(own.named)
		}
	}
	return groups
}
