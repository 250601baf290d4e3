// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"cmp"
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/demo"
	"pam_cockpit_cert/internal/testutil/machine"
)

// port is an architecture that packages are built for on another one.
type port struct {
	triplet  string // of its libraries
	compiler string // the triplet of its tools
	qemu     string // how QEMU calls it
	machine  elf.Machine
	order    elf.Data
	suite    string // Debian's first release of the port; empty for Debian 12's
}

var ports = map[string]port{
	"arm64":   {"aarch64-linux-gnu", "aarch64-linux-gnu", "aarch64", elf.EM_AARCH64, elf.ELFDATA2LSB, ""},
	"armhf":   {"arm-linux-gnueabihf", "arm-linux-gnueabihf", "arm", elf.EM_ARM, elf.ELFDATA2LSB, ""},
	"i386":    {"i386-linux-gnu", "i686-linux-gnu", "i386", elf.EM_386, elf.ELFDATA2LSB, ""},
	"ppc64el": {"powerpc64le-linux-gnu", "powerpc64le-linux-gnu", "ppc64le", elf.EM_PPC64, elf.ELFDATA2LSB, ""},
	"riscv64": {"riscv64-linux-gnu", "riscv64-linux-gnu", "riscv64", elf.EM_RISCV, elf.ELFDATA2LSB, "trixie"},
	"s390x":   {"s390x-linux-gnu", "s390x-linux-gnu", "s390x", elf.EM_S390, elf.ELFDATA2MSB, ""},
}

// TestCross builds on this architecture for others, and logs in there: the package
// for arm64, as `dpkg-buildpackage -a` does, and what a login runs for s390x, whose
// bytes are in the other order, as `make CC=` does. Or the packages for the
// architectures that PAM_COCKPIT_CERT_PORTS names.
func TestCross(t *testing.T) {
	names, packaged := []string{"arm64", "s390x"}, []string{"arm64"}
	if wanted := strings.Fields(os.Getenv("PAM_COCKPIT_CERT_PORTS")); len(wanted) > 0 {
		names, packaged = wanted, wanted
	}
	of := map[string][]string{}
	for _, name := range names {
		port, known := ports[name]
		if !known {
			t.Fatalf("PAM_COCKPIT_CERT_PORTS: no architecture %q is known here", name)
		}
		suite := cmp.Or(port.suite, "bookworm")
		of[suite] = append(of[suite], name)
	}
	for suite, names := range of {
		root := machine.Root(t, crossRecipe(suite, names))
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				c := newCross(t, root, name)
				if slices.Contains(packaged, name) {
					c.makePackage()
				} else {
					c.make()
				}
				c.logIn()
			})
		}
	}
}

// crossRecipe is a system with the compilers and libraries of ports. Their programs run
// in QEMU; SSSD and the bus run without it.
func crossRecipe(suite string, names []string) machine.Recipe {
	recipe := machine.Recipe{Suite: suite, NoUpdates: true, Packages: append([]string{"dbus-daemon", "dbus-system-bus-common",
		"qemu-user", "sssd-common", "sssd-dbus", "sssd-proxy"}, debian.Tools...)}
	add, install := "true", "apt-get -qq --no-install-recommends install"
	for _, name := range names {
		recipe.Packages = append(recipe.Packages, "gcc-"+ports[name].compiler)
		add += " && dpkg --add-architecture " + name
		for _, library := range []string{"libpam0g-dev", "libpam-modules", "libkrb5-dev"} {
			install += " " + library + ":" + name
		}
	}
	recipe.Commands = []string{add + " && apt-get -qq update && " + install}
	return recipe
}

// cross is a system with the compiler of a port.
type cross struct {
	*machine.Overlay
	t *testing.T
	port
	name   string // Debian's
	golang string // the path of Go
	cache  string // the variable that names Go's
}

func newCross(t *testing.T, root, name string) cross {
	t.Helper()
	o := machine.NewOverlay(t, root)
	c := cross{o, t, ports[name], name, debian.Go(t), debian.GoCache(t, o)}
	o.Bind(t, filepath.Dir(filepath.Dir(c.golang)))
	return c
}

// built is where the programs of the port are to be found.
const built = "/build/source/build/"

// make builds what a login runs, without packaging.
func (c cross) make() {
	c.t.Helper()
	debian.Stage(c.t, c.Overlay)
	c.Run(c.t, "env", c.cache, "GOPROXY=off", "make", "-s", "-C", "/build/source", "GO="+c.golang, "CC="+c.compiler+"-gcc",
		"build/pam_cockpit_cert.so", "build/cockpit-cert-ticket")
	for _, program := range []string{"pam_cockpit_cert.so", "cockpit-cert-ticket"} {
		c.check(c.Dir + built + program)
	}
}

// makePackage builds the package, and puts its programs where make has them.
func (c cross) makePackage() {
	c.t.Helper()
	to := c.t.TempDir()
	debian.For(c.t, c.Overlay, c.name, c.golang, to, c.cache)
	file := debian.Package(c.t, to)
	if got := strings.TrimSpace(host(c.t, "dpkg-deb", "-f", file, "Architecture")); got != c.name {
		c.t.Errorf("the package is for %s", got)
	}
	dir := unpacked(c.t, file)
	module := "/usr/lib/" + c.triplet + "/security/pam_cockpit_cert.so"
	for _, path := range []string{module, command, session, ticket} {
		c.check(filepath.Join(dir, path))
		c.Copy(c.t, filepath.Join(dir, path), built+filepath.Base(path))
	}
	if packed(c.t, filepath.Join(dir, module)) {
		depends := host(c.t, "dpkg-deb", "-f", file, "Depends")
		libc := regexp.MustCompile(`libc6 \(>= 2\.(\d+)\)`).FindStringSubmatch(depends)
		if libc == nil {
			c.t.Errorf("no libc in Depends: %s", depends)
		} else if minor, err := strconv.Atoi(libc[1]); err != nil || minor < 36 {
			c.t.Errorf("packed relocations need glibc 2.36, whose loader knows them: Depends: %s", depends)
		}
	}
	completions, err := os.ReadFile(filepath.Join(dir, "usr/share/bash-completion/completions/pam-cockpit-cert"))
	if err != nil || len(completions) == 0 {
		c.t.Errorf("completions of %d bytes: %v", len(completions), err)
	}
}

// packed tells whether a file has packed relocations: DT_RELR.
func packed(t *testing.T, path string) bool {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	values, err := file.DynValue(elf.DynTag(36))
	if err != nil {
		t.Fatal(err)
	}
	return len(values) > 0
}

// check checks that a program is the port's, and hardened.
func (c cross) check(path string) {
	c.t.Helper()
	program, err := elf.Open(path)
	if err != nil {
		c.t.Errorf("%s: %v", path, err)
		return
	}
	defer program.Close()
	if program.Machine != c.machine || program.Data != c.order {
		c.t.Errorf("%s is for %v, %v", path, program.Machine, program.Data)
	}
	for _, complaint := range soft(c.t, path) {
		c.t.Errorf("%s: %s", path, complaint)
	}
}

// logIn runs the demonstration with the module in a PAM host for the same
// architecture. It makes control groups, like systemd.
func (c cross) logIn() {
	c.t.Helper()
	c.BindWritable(c.t, "/sys/fs/cgroup")
	c.Build(c.t, "./tools/demo", "/build/demo")
	qemu := "qemu-" + c.qemu
	if c.name == "i386" && runtime.GOARCH == "amd64" {
		// These processors run it themselves; Debian 12's QEMU 7.2 crashes in the
		// worker.
		qemu = "env"
	}
	c.Write(c.t, built+"test/pamhost", 0o755, []byte("#!/bin/sh\nexec "+qemu+" "+built+"test/host \"$@\"\n"))
	c.Sh(c.t, c.compiler+"-gcc -std=gnu11 -O2 -o "+built+"test/host /build/source/internal/testutil/pamhost/host/pamhost.c -lpam -lpthread")
	out, err := c.Try(c.t, "sh", "-c", "cd /build/source && exec /build/demo")
	if err != nil {
		c.t.Errorf("the demonstration: %v", err)
	}
	demo.Check(c.t, out)
	// The other program that a login runs: it knows the users of libc.
	out, err = c.Try(c.t, qemu, built+"cockpit-cert-ticket", "--", "stranger", "61001", "ccache")
	if err != nil || !strings.Contains(out, "the user stranger is not the one who logged in") {
		c.t.Errorf("cockpit-cert-ticket says %q (%v)", out, err)
	}
}
