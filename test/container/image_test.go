// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package container

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/machine"
)

const top = "../.."

// tag is the image's name in the storage of the tests.
const tag = "localhost/pam-cockpit-cert:test"

// base is the name of the base image there.
const base = "localhost/debian:trixie"

// storage is a storage of buildah, separate from the machine's own.
type storage struct {
	t   *testing.T
	dir string
}

// newStorage makes a storage in the cache: it needs a file system on which overlayfs
// works, which /tmp may not have.
func newStorage(t *testing.T) storage {
	dir, err := os.MkdirTemp(machine.Cache(t), "container-")
	if err != nil {
		t.Fatal(err)
	}
	s := storage{t, dir}
	t.Cleanup(func() {
		s.unmount()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// unmount ends the mount that buildah makes of its storage onto itself.
func (s storage) unmount() {
	_ = unix.Unmount(filepath.Join(s.dir, "storage", "overlay"), unix.MNT_DETACH)
}

// command returns buildah's command line without the subcommand.
func (s storage) command() string {
	return "buildah --root " + s.dir + "/storage --runroot " + s.dir + "/run --storage-driver overlay"
}

func (s storage) buildah(args ...string) string {
	s.t.Helper()
	line := append(strings.Fields(s.command()), args...)
	return run(s.t, line[0], line[1:]...)
}

// container makes a container of an image and returns its root, mounted and writable,
// like podman.
func (s storage) container(image string) (name, root string) {
	s.t.Helper()
	name = s.buildah("from", "--pull-never", image)
	root = s.buildah("mount", name)
	s.t.Cleanup(func() { s.buildah("umount", name) })
	return name, root
}

// build makes a base image of Debian's packages, so that no registry is needed, and
// then the image, with the Makefile, in a clone of a user with the umask 077.
func (s storage) build() {
	s.t.Helper()
	machine.CopySource(s.t, s.dir+"/source")
	run(s.t, "sh", "-euc", `[ ! -e "$2/.git" ] || cp -a "$2/.git" "$1/source"
		chmod -R go= "$1/source"`, "sh", s.dir, top)
	scratch := s.buildah("from", "scratch")
	s.buildah("add", "--quiet", scratch, machine.Root(s.t, machine.Recipe{Suite: "trixie"}), "/")
	s.buildah("add", "--quiet", "--chmod", "755", scratch, write(s.t, filepath.Join(s.t.TempDir(), "policy-rc.d"), "#!/bin/sh\nexit 101\n"), "/usr/sbin/policy-rc.d")
	s.buildah("commit", "--quiet", scratch, base)
	s.buildah("rm", scratch)
	s.make(tag, "")
}

// make is `make container`.
func (s storage) make(tag, flags string) {
	s.t.Helper()
	run(s.t, "make", "-C", s.dir+"/source", "container", "OCI_TOOL="+s.command(), "CONTAINER_BASE="+base, "CONTAINER_TAG="+tag,
		"CONTAINER_FLAGS=--isolation chroot --pull-never --layers "+flags)
}

// configuration is the image's configuration.
type configuration struct {
	Docker struct {
		Config struct {
			Labels       map[string]string
			Volumes      map[string]struct{}
			ExposedPorts map[string]struct{}
			StopSignal   string
			Cmd          []string
			Healthcheck  struct{ Test []string }
		} `json:"config"`
	}
}

func (s storage) inspect() configuration {
	s.t.Helper()
	var c configuration
	if err := json.Unmarshal([]byte(s.buildah("inspect", "--type", "image", tag)), &c); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// run returns a command's output without the last newline.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd, err, out, &stderr)
	}
	return strings.TrimSuffix(string(out), "\n")
}
