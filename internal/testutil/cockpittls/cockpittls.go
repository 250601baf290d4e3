// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package cockpittls stands in for cockpit-tls and systemd in tests: it exports a
// certificate's file, and starts programs in the control group of the
// certificate's cockpit-ws.
package cockpittls

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pki"
)

// Directory is the directory to which cockpit-tls exports certificates.
const Directory = "/run/cockpit/tls"

// Release is a release of Cockpit from which on the export has this form.
type Release int

// The forms of the exported file.
const (
	From209 Release = 209 // Directory/FINGERPRINT
	From250 Release = 250 // Directory/RANDOM, with the control group's line
	From257 Release = 257 // Directory/clients/RANDOM
)

// unit returns the control group of a fingerprint's cockpit-ws, below systemd's root.
func unit(fingerprint string) string {
	return "/system.slice/system-cockpithttps.slice/cockpit-wsinstance-https@" + fingerprint + ".service"
}

// Export writes the file of a TLS connection, and returns its path.
func Export(t testing.TB, release Release, certificate pki.Certificate) string {
	t.Helper()
	namespace.Need(t)
	name, text := certificate.Fingerprint(), certificate.PEM()
	if release >= From250 {
		random := make([]byte, 32)
		_, _ = rand.Read(random)
		name = hex.EncodeToString(random)
		text = append([]byte("0::"+unit(certificate.Fingerprint())+"\n"), text...)
	}
	if release >= From257 {
		name = "clients/" + name
	}
	path := filepath.Join(Directory, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o400); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	return path
}

// Instance is the control group of a certificate's cockpit-ws, in each
// hierarchy that systemd would use on this machine.
type Instance struct{ dirs []string }

// NewInstance makes the control group, until the test ends.
func NewInstance(t testing.TB, fingerprint string) Instance {
	t.Helper()
	namespace.Need(t)
	roots := hierarchies(t)
	if len(roots) == 0 {
		t.Skip("no control groups can be made here: neither version 2 nor name=systemd is mounted")
	}
	var instance Instance
	for _, root := range roots {
		dir := root + unit(fingerprint)
		undo := func() { remove(dir, root) }
		if err := namespace.Outside(func() error { return os.MkdirAll(dir, 0o755) }, undo); err != nil {
			t.Skipf("no control groups can be made here: %v", err)
		}
		t.Cleanup(undo)
		instance.dirs = append(instance.dirs, dir)
	}
	return instance
}

// remove removes a control group, once its last process is gone, and its parents
// up to the root, unless another test has groups there.
func remove(dir, root string) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err := os.Remove(dir); !errors.Is(err, syscall.EBUSY) {
			break
		}
	}
	for dir = filepath.Dir(dir); dir != root; dir = filepath.Dir(dir) {
		os.Remove(dir)
	}
}

// Enter makes the command start in the instance's control group.
func (i Instance) Enter(command *exec.Cmd) {
	script := `for dir in "$@"; do shift; [ "$dir" != -- ] || break; echo $$ >"$dir/cgroup.procs" || exit 99; done; exec "$@"`
	arguments := append([]string{"sh", "-c", script, "sh"}, i.dirs...)
	arguments = append(append(arguments, "--", command.Path), command.Args[1:]...)
	command.Args = arguments
	command.Path = "/bin/sh"
}

// hierarchies returns the directory of PID 1's control group in each hierarchy
// that has units: systemd's own groups would be below it.
func hierarchies(t testing.TB) []string {
	t.Helper()
	own, err := os.ReadFile("/proc/1/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{} // "" for version 2, and "name=systemd"
	for _, line := range strings.Split(strings.TrimSpace(string(own)), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) == 3 && (parts[0] == "0" || parts[1] == "name=systemd") {
			paths[parts[1]] = strings.TrimSuffix(strings.TrimSuffix(parts[2], "/init.scope"), "/")
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var roots []string
	for lines := bufio.NewScanner(bytes.NewReader(mounts)); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 {
			continue
		}
		name, known := "", right[0] == "cgroup2"
		if right[0] == "cgroup" && strings.Contains(right[2], "name=systemd") {
			name, known = "name=systemd", true
		}
		path, exists := paths[name]
		if !known || !exists {
			continue
		}
		delete(paths, name)
		root := filepath.Clean(fmt.Sprintf("%s/%s", left[4], strings.TrimPrefix(path, left[3])))
		roots = append(roots, root)
	}
	return roots
}
