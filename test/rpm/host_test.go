// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

// Package rpm builds the RPM package, and installs, upgrades and removes it
// with the real rpm and dnf, in all orders that cockpit-ws and it can come in.
package rpm

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

func TestMain(m *testing.M) {
	become()
	machine.Main(m)
}

const (
	service       = "/etc/pam.d/cockpit"
	vendorService = "/usr/lib/pam.d/cockpit"
	newService    = service + ".rpmnew"
	record        = "/var/lib/pam_cockpit_cert"
	tool          = "/usr/sbin/pam-cockpit-cert"

	control = "-auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] "
	rule    = control + "pam_cockpit_cert.so\n"
	// ruleBeside is the rule of the subfolder build.
	ruleBeside = control + "pam_cockpit_cert/pam_cockpit_cert.so\n"
)

// withRule is the service's text once the rule is in.
func withRule(text string) string { return insert(text, rule) }

func insert(text, rule string) string {
	i := strings.Index(text, "\nauth ")
	return text[:i+1] + rule + text[i+1:]
}

// host is a system whose packages are RPM's, and where a repository is known.
type host struct {
	*machine.Overlay
	t    *testing.T
	repo string
	home string

	revision int // of the repository
}

// suite is the Debian release that we run on: what is built here runs there.
func suite(t *testing.T) string {
	t.Helper()
	out := output(t, command("", "sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME"))
	return strings.TrimSpace(out)
}

// newHost makes a system without Cockpit, and a repository that has ours as
// built, and the stand-ins.
func newHost(t *testing.T, ours []build, others ...standIn) *host {
	t.Helper()
	return newHostOf(t, nil, ours, others...)
}

// newHostOf is newHost with packages of Debian's in the system.
func newHostOf(t *testing.T, debian []string, ours []build, others ...standIn) *host {
	t.Helper()
	repo := t.TempDir()
	for _, b := range ours {
		file := binary(t, b)
		output(t, command("", "cp", file, filepath.Join(repo, b.name+"-"+filepath.Base(file))))
	}
	base := system(t)
	h := &host{Overlay: machine.NewOverlay(t, machine.Root(t, machine.Recipe{Suite: suite(t), Packages: debian})), t: t, repo: repo, home: t.TempDir()}
	for _, s := range append([]standIn{base}, others...) {
		s.make(t, repo)
	}
	h.index()
	// Debian's rpm has a database for each user, in their home.
	h.file(filepath.Join(h.home, ".rpmmacros"), "%_dbpath /var/lib/rpm\n")
	h.file(filepath.Join(h.home, "repos/test.repo"), "[test]\nname=test\nbaseurl=file://"+repo+"\ngpgcheck=0\n")
	h.must("dnf", "install", "system")
	return h
}

func (h *host) file(path, text string) {
	h.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		h.t.Fatal(err)
	}
}

// add puts a package into the repository.
func (h *host) add(s standIn) {
	h.t.Helper()
	s.make(h.t, h.repo)
	h.index()
}

func (h *host) addOurs(b build) {
	h.t.Helper()
	file := binary(h.t, b)
	output(h.t, command("", "cp", file, filepath.Join(h.repo, b.name+"-"+filepath.Base(file))))
	h.index()
}

func (h *host) index() {
	h.t.Helper()
	// Two of the same second are the same to dnf, unless it is told.
	h.revision++
	output(h.t, command("", "createrepo_c", "-q", "--revision", strconv.Itoa(h.revision), h.repo))
}

// try runs dnf or rpm on the system from outside, as an image builder does.
func (h *host) try(name string, args ...string) (string, error) {
	h.t.Helper()
	var c *exec.Cmd
	switch name {
	case "dnf":
		c = command("", "dnf", append([]string{
			"-y", "--refresh", "--installroot=" + h.Dir, "--releasever=0", "--setopt=reposdir=" + filepath.Join(h.home, "repos"),
			"--setopt=install_weak_deps=0", "--setopt=plugins=0", "--setopt=metadata_expire=0",
			"--setopt=cachedir=" + filepath.Join(h.home, "cache"), "--setopt=logdir=/var/log"}, args...)...)
	case "rpm":
		c = command("", "rpm", append([]string{"--root=" + h.Dir}, args...)...)
	}
	c.Env = append(os.Environ(), "HOME="+h.home, "LC_ALL=C.UTF-8")
	out, err := c.CombinedOutput()
	return string(out), err
}

func (h *host) must(name string, args ...string) string {
	h.t.Helper()
	out, err := h.try(name, args...)
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	for line := range strings.Lines(out) {
		// A scriptlet that fails does not fail the transaction.
		if strings.Contains(strings.ToLower(line), "error") || strings.Contains(line, "scriptlet failed") {
			h.t.Errorf("%s %s says %q", name, strings.Join(args, " "), line)
		}
	}
	return out
}

// version compares a package's version with what it should be.
func (h *host) version(name, want string) {
	h.t.Helper()
	if got := h.must("rpm", "-q", "--qf", "%{VERSION}", name); got != want {
		h.t.Errorf("%s is %s, want %s", name, got, want)
	}
}

// is compares a file with what it should be, to the byte.
func (h *host) is(when, path, want string) {
	h.t.Helper()
	got, err := os.ReadFile(filepath.Join(h.Dir, path))
	if err != nil {
		h.t.Fatalf("%s: %v", when, err)
	}
	if string(got) != want {
		h.t.Errorf("%s, %s is\n%s\nwant\n%s", when, path, got, want)
	}
}

func (h *host) none(when string, paths ...string) {
	h.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(h.Dir, path)); !errors.Is(err, fs.ErrNotExist) {
			h.t.Errorf("%s, %s is there (%v)", when, path, err)
		}
	}
}

// clean asks RPM itself whether a package's files are as it brought them, but
// for their times, which no RPM looks at when it decides what was edited.
func (h *host) clean(when, name string) {
	h.t.Helper()
	if out, err := h.try("rpm", "-V", "--nodeps", "--nomtime", "--nouser", "--nogroup", name); err != nil {
		h.t.Errorf("%s, rpm -V %s says:\n%s", when, name, out)
	}
}
