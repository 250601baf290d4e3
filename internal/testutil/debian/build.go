// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package debian builds the Debian package for a suite, with that suite's own
// compiler and libraries.
package debian

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// Tools are the packages that a root needs to build and check Debian packages.
var Tools = []string{"build-essential", "debhelper", "fakeroot", "git", "libkrb5-dev", "libpam0g-dev", "lintian", "pkg-config"}

// Build returns the directory with the packages of the source as it is now, from
// the cache if they are there.
func Build(t testing.TB, suite string) string {
	t.Helper()
	dir := filepath.Join(machine.Cache(t), "debs", suite+"-"+source(t))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	making := dir + ".making"
	if err := os.RemoveAll(making); err != nil {
		t.Fatal(err)
	}
	o := NewBuilder(t, suite)
	In(t, o, Go(t), making, GoCache(t, o))
	if err := os.Rename(making, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// NewBuilder returns a system that can build packages: with the suite's tools, and
// with this machine's Go, because a suite's own may be older than go.mod requires.
func NewBuilder(t testing.TB, suite string) *machine.Overlay {
	t.Helper()
	root := machine.Root(t, machine.Recipe{Suite: suite, Packages: Tools})
	o := machine.NewOverlay(t, root)
	o.Bind(t, goroot(t))
	return o
}

// GoCache gives the system Go's cache of all builds, which keeps results of different
// compilers and flags apart, and returns the variable that names it.
func GoCache(t testing.TB, o *machine.Overlay) string {
	t.Helper()
	cache := filepath.Join(machine.Cache(t), "go-build")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	o.BindWritable(t, cache)
	return "GOCACHE=" + cache
}

func goroot(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Go returns the path of this machine's Go, which a system of NewBuilder has as well.
func Go(t testing.TB) string { return goroot(t) + "/bin/go" }

// Offline returns the command line that runs a command in a new network namespace.
func Offline(command ...string) []string {
	return append([]string{"unshare", "--net", "sh", "-euc", offline, "sh"}, command...)
}

// offline runs in a new network namespace. It sets the loopback interface up
// (SIOCSIFFLAGS, IFF_UP), which the package's tests need.
const offline = `perl -MSocket -e '$up = pack("a16 S x22", "lo", 1); socket(S, AF_INET, SOCK_DGRAM, 0) && ioctl(S, 0x8914, $up) or die $!'
	exec "$@"`

// In builds the packages in a system that has this compiler, with no network,
// and copies them to a directory of this machine.
func In(t testing.TB, o *machine.Overlay, compiler, to string, environment ...string) {
	t.Helper()
	For(t, o, "", compiler, to, environment...)
}

// For is In for another architecture of Debian, for which the system has a cross
// compiler.
func For(t testing.TB, o *machine.Overlay, architecture, compiler, to string, environment ...string) {
	t.Helper()
	var options []string
	if architecture != "" {
		options = []string{"--host-arch=" + architecture}
	}
	Stage(t, o)
	command := append([]string{"env"}, environment...)
	command = append(command, "/build/source/deb/build", compiler, "/build/packages")
	o.Run(t, Offline(append(command, options...)...)...)
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-r", o.Dir+"/build/packages/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// Stage puts the source into the system's /build/source.
func Stage(t testing.TB, o *machine.Overlay) {
	t.Helper()
	// With the modules, so that nothing is fetched while building.
	staged := filepath.Join(t.TempDir(), "source")
	machine.CopySource(t, staged)
	vendor := exec.Command("sh", "-euc", "[ -d vendor ] || GOFLAGS='' go mod vendor")
	vendor.Dir = staged
	if out, err := vendor.CombinedOutput(); err != nil {
		t.Fatalf("staging the source: %v\n%s", err, out)
	}
	o.Copy(t, staged, "/build/source")
}

// Package returns the binary package in a directory that Build filled.
func Package(t testing.TB, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "libpam-cockpit-cert_*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("packages in %s: %v, %v", dir, found, err)
	}
	return found[0]
}

// source returns a hash of all files that go into the package.
func source(t testing.TB) string {
	t.Helper()
	sum := sha256.New()
	for _, part := range []string{"ADDRESSES", "cmd", "cockpit", "deb", "internal", "man", "module", "pam.d", "selinux", "systemd", "tools", "Makefile", "README.md", "VERSION", "go.mod", "go.sum"} {
		err := filepath.WalkDir(filepath.Join(machine.Source(t), part), func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			fmt.Fprintln(sum, path)
			_, err = io.Copy(sum, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
