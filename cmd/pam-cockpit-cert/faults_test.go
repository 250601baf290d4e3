// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/testutil/strace"
)

// faultMarker makes this test binary run as the command, with its work in the first
// thread, the only one that strace traces.
const faultMarker = "PAM_COCKPIT_CERT_FAULTS"

func init() {
	if os.Getenv(faultMarker) != "" {
		runtime.LockOSThread()
	}
}

// faulty are the system calls on files.
var faulty = []string{"openat", "read", "write", "pwrite64", "fsync", "renameat", "renameat2", "fchown", "fchmod", "fchmodat",
	"fsetxattr", "fgetxattr", "lgetxattr", "llistxattr", "flistxattr", "fremovexattr", "flock", "mkdirat", "unlinkat", "close", "newfstatat", "fstat",
	"readlinkat", "getdents64", "lseek", "ioctl", "fcntl"}

// changing are those that fail with a full, read-only or broken disk, or a quota.
var changing = []string{"openat", "write", "pwrite64", "fsync", "renameat", "renameat2", "fchown", "fchmod", "fchmodat", "fsetxattr",
	"fremovexattr", "mkdirat", "unlinkat", "close"}

// faultsOf are the ways in which a system call fails.
func faultsOf(call string) []string {
	faults := []string{"error=EIO", "signal=KILL"}
	if slices.Contains(changing, call) {
		faults = append(faults, "error=ENOSPC", "error=EDQUOT", "error=EROFS", "error=EXDEV")
	}
	return faults
}

// scenario is one edit, with the system before and after it.
type scenario struct {
	name          string
	args          []string
	before, after map[string]string // by path below the root; "" for no file
	order         string            // the order of the calls that put it on disk
	edits         string            // the first directory that matters; "" for any
}

func scenarios(t *testing.T) []scenario {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	plain, edited := read("../../internal/pamconf/testdata/services/fedora"), read("../../pam.d/cockpit.fedora")
	const service, vendor, record = "etc/pam.d/cockpit", "usr/lib/pam.d/cockpit", "var/lib/pam_cockpit_cert/cockpit"
	const other = "var/lib/other" // its directory is what a package's script looks for
	const rule = "-auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] pam_cockpit_cert.so\n"
	include := rule + strings.ReplaceAll("auth include /V\naccount include /V\npassword include /V\nsession include /V\n", "V", vendor)
	const config, enabled = "etc/cockpit/cockpit.conf", "var/lib/pam_cockpit_cert/ENABLED.json"
	const packages, installed = "var/lib/dpkg/status", "Package: cockpit-ws\nStatus: install ok installed\nVersion: 337-1\n\n"
	const off = "[WebService]\nOrigins = https://example.com"
	const on = "[WebService]\nClientCertAuthentication = true\nOrigins = https://example.com\n\n" +
		"[tls-cert]\nCommand = /usr/libexec/pam_cockpit_cert/cockpit-cert-session"
	const fresh = "[WebService]\nClientCertAuthentication = true\n\n[tls-cert]\nCommand = /usr/libexec/pam_cockpit_cert/cockpit-cert-session\n"
	memory := remembered(t, off)
	return []scenario{
		{"enable", []string{"enable"},
			map[string]string{config: off, enabled: "", service: edited, packages: installed}, map[string]string{config: on, enabled: memory},
			"fsync renameat fsync fsync renameat fsync", "var/lib/pam_cockpit_cert"},
		{"enable without a file", []string{"enable"},
			map[string]string{config: "", enabled: "", service: edited, packages: installed}, map[string]string{config: fresh, enabled: remembered(t, "")},
			"fsync renameat fsync fsync renameat fsync", "var/lib/pam_cockpit_cert"},
		{"disable", []string{"disable"},
			map[string]string{config: on, enabled: memory}, map[string]string{config: off, enabled: ""},
			"fsync renameat fsync", ""},
		{"a package's installation", []string{"scriptlet", "rpm", "posttrans"},
			map[string]string{service: plain, record: "", other: "stays"}, map[string]string{service: edited, record: "rpm\n", other: "stays"},
			"fsync renameat fsync fsync renameat fsync", ""},
		{"remove", []string{"pam", "remove", "--forget"},
			map[string]string{service: edited, record: "rpm\n"}, map[string]string{service: plain, record: ""},
			"fsync renameat fsync", ""},
		{"install with a vendor's file", []string{"pam", "install"},
			map[string]string{service: "", vendor: plain}, map[string]string{service: include},
			"fsync renameat fsync", ""},
		{"remove with a vendor's file", []string{"pam", "remove"},
			map[string]string{service: include, vendor: plain}, map[string]string{service: ""},
			"unlinkat fsync", ""},
	}
}

// remembered returns the record that enable writes for disable; config is empty for no
// file.
func remembered(t *testing.T, config string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/cockpit"), 0o755); err != nil {
		t.Fatal(err)
	}
	if config != "" {
		if err := os.WriteFile(filepath.Join(root, "etc/cockpit/cockpit.conf"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cockpit.EnableCertificates(root, cockpit.CertificateSettings(sessionCommand)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "var/lib/pam_cockpit_cert/ENABLED.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const faultAttribute, faultMode = "user.pam_cockpit_cert", 0o640

// prepare makes the system of a scenario.
func (s scenario) prepare(t *testing.T, root string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, "etc/pam.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s.args[0] == "enable" {
		if err := placePackage(root); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range s.before {
		path := filepath.Join(root, name)
		if text == "" {
			_ = os.Remove(path)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, faultMode); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(path, 12, 34); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Setxattr(path, faultAttribute, []byte("kept"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			t.Fatal(err)
		}
	}
}

// inodes matches what a record has about directories, which differs from run to run.
var inodes = regexp.MustCompile(`,\n {2}"directories": \{[^}]*\}`)

// check returns what is wrong with a system after a run with a fault.
func (s scenario) check(root string, succeeded bool) error {
	for name, after := range s.after {
		path := filepath.Join(root, name)
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		switch got := inodes.ReplaceAllString(string(text), ""); {
		case got != after && got != s.before[name]:
			return fmt.Errorf("%s is neither old nor new: %q", name, got)
		case succeeded && got != after:
			return fmt.Errorf("%s is not new, but the command succeeded", name)
		case got != "" && s.before[name] != "":
			if err := attributes(path); err != nil {
				return err
			}
		}
	}
	strays, err := filepath.Glob(filepath.Join(root, "etc/*/*"))
	hidden, hiddenErr := filepath.Glob(filepath.Join(root, "etc/pam.d/.*"))
	for _, stray := range append(strays, hidden...) {
		if filepath.Base(filepath.Dir(stray))[0] != '.' && !slices.Contains([]string{"cockpit", "cockpit.conf"}, filepath.Base(stray)) {
			return fmt.Errorf("%s is left there", stray)
		}
	}
	return errors.Join(err, hiddenErr)
}

func attributes(path string) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return err
	}
	if stat.Mode&0o7777 != faultMode || os.Geteuid() == 0 && (stat.Uid != 12 || stat.Gid != 34) {
		return fmt.Errorf("%s: mode %o, owner %d:%d", path, stat.Mode, stat.Uid, stat.Gid)
	}
	value := make([]byte, 16)
	n, err := unix.Getxattr(path, faultAttribute, value)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil || string(value[:n]) != "kept" {
		return fmt.Errorf("%s: the extended attribute is %q: %v", path, value[:max(n, 0)], err)
	}
	return nil
}

// run runs the command under strace, and returns the trace.
func (s scenario) run(t *testing.T, root string, strace ...string) (trace string, err error) {
	t.Helper()
	out := filepath.Join(filepath.Dir(root), filepath.Base(root)+".strace")
	args := append([]string{"-o", out, "-e", "trace=" + strings.Join(faulty, ",?")}, strace...)
	args = append(append(args, os.Args[0], "--root", root), s.args...)
	command := exec.Command("strace", args...)
	command.Env = append(os.Environ(), faultMarker+"=1")
	err = command.Run()
	text, readErr := os.ReadFile(out)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(text), err
}

// counts returns, for each system call, the numbers of those that belong to the edit:
// from the first one that mentions a directory, to the last one that puts something on
// disk. Calls before and after only read.
func counts(trace, dir string) (first, last map[string]int) {
	first, last = map[string]int{}, map[string]int{}
	called := regexp.MustCompile(`^(\w+)\(`)
	ours := false
	lines := strings.Split(trace, "\n")
	onDisk := regexp.MustCompile(`^(fsync|renameat|unlinkat)\(`)
	for i, line := range slices.Backward(lines) {
		if onDisk.MatchString(line) {
			lines = lines[:i+1]
			break
		}
	}
	for _, line := range lines {
		match := called.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		call := match[1]
		last[call]++
		if ours = ours || strings.Contains(line, dir); ours && first[call] == 0 {
			first[call] = last[call]
		}
	}
	return first, last
}

// Whichever call fails, and whenever the command is killed, the service's file is the
// old one or the new one, with its attributes, and it is the only file in its
// directory. The next run repairs the rest.
func TestAFaultAtEverySystemCall(t *testing.T) {
	strace.Need(t)
	if testing.Short() {
		t.Skip("takes a minute")
	}
	for _, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			probe := filepath.Join(t.TempDir(), "probe")
			s.prepare(t, probe)
			trace, err := s.run(t, probe)
			if err != nil {
				t.Fatalf("without a fault: %v", err)
			}
			if err := s.check(probe, true); err != nil {
				t.Fatalf("without a fault: %v", err)
			}
			first, last := counts(trace, filepath.Join(probe, s.edits))
			s.durable(t, trace)
			// Two for each processor, because the tracer mostly waits.
			slots, runs := make(chan struct{}, 2*runtime.NumCPU()), sync.WaitGroup{}
			n := 0
			for call, from := range first {
				for when := from; when <= last[call]; when++ {
					for _, fault := range faultsOf(call) {
						n++
						root := filepath.Join(t.TempDir(), strconv.Itoa(n))
						inject := fmt.Sprintf("inject=%s:%s:when=%d", call, fault, when)
						runs.Add(1)
						slots <- struct{}{}
						go func() {
							defer func() { <-slots; runs.Done() }()
							s.fault(t, root, inject)
						}()
					}
				}
			}
			runs.Wait()
			t.Logf("%d faults", n)
		})
	}
}

// durable checks that a file is complete after a crash: a new file is on disk before it
// gets its name, and the name is on disk before the command ends.
func (s scenario) durable(t *testing.T, trace string) {
	t.Helper()
	var order []string
	for _, step := range regexp.MustCompile(`(?m)^(?:(fsync|renameat)\(|(unlinkat)\(.*/etc/pam\.d/cockpit").*= 0$`).FindAllStringSubmatch(trace, -1) {
		order = append(order, step[1]+step[2])
	}
	if got := strings.Join(order, " "); got != s.order {
		t.Errorf("the order is %q, not %q", got, s.order)
	}
}

func (s scenario) fault(t *testing.T, root, inject string) {
	s.prepare(t, root)
	trace, err := s.run(t, root, "-e", inject)
	if !strings.Contains(trace, "(INJECTED)") && !strings.Contains(trace, "killed by SIGKILL") {
		t.Errorf("%s: no fault happened", inject)
	}
	if err := s.check(root, err == nil); err != nil {
		t.Errorf("%s: %v", inject, err)
	}
	again := exec.Command(os.Args[0], append([]string{"--root", root}, s.args...)...)
	again.Env = append(os.Environ(), faultMarker+"=1")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%s: then without a fault: %v: %s", inject, err, out)
	}
	if err := s.check(root, true); err != nil {
		t.Errorf("%s: then without a fault: %v", inject, err)
	}
	left, err := filepath.Glob(filepath.Join(root, "*/.[a-z]*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%s: the next run left %s", inject, left)
	}
}
