// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cgroup is a directory in every hierarchy, for one machine: two systemds in the
// same cgroup would take each other's units for their own.
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
	// In a PID namespace the PID is not unique; the time is.
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
