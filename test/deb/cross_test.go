// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

// ports are the architectures that packages are built for on another one.
var ports = map[string]struct {
	triplet string
	machine elf.Machine
	order   elf.Data
}{
	"arm64":   {"aarch64-linux-gnu", elf.EM_AARCH64, elf.ELFDATA2LSB},
	"armhf":   {"arm-linux-gnueabihf", elf.EM_ARM, elf.ELFDATA2LSB},
	"i386":    {"i386-linux-gnu", elf.EM_386, elf.ELFDATA2LSB},
	"ppc64el": {"powerpc64le-linux-gnu", elf.EM_PPC64, elf.ELFDATA2LSB},
	"riscv64": {"riscv64-linux-gnu", elf.EM_RISCV, elf.ELFDATA2LSB},
	"s390x":   {"s390x-linux-gnu", elf.EM_S390, elf.ELFDATA2MSB},
}

// TestCross builds on this architecture for others, as `dpkg-buildpackage -a`
// does: arm64, or those that PAM_COCKPIT_CERT_PORTS names.
func TestCross(t *testing.T) {
	names := os.Getenv("PAM_COCKPIT_CERT_PORTS")
	if names == "" {
		names = "arm64"
	}
	for _, name := range strings.Fields(names) {
		t.Run(name, func(t *testing.T) {
			port, known := ports[name]
			if !known {
				t.Fatalf("PAM_COCKPIT_CERT_PORTS: no architecture %q is known here", name)
			}
			root := machine.Root(t, machine.Recipe{Suite: "trixie", Packages: debian.Tools, Commands: []string{
				"dpkg --add-architecture " + name + " && apt-get -qq update && " +
					"DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install crossbuild-essential-" + name +
					" libpam0g-dev:" + name + " libkrb5-dev:" + name}})
			o := machine.NewOverlay(t, root)
			compiler := debian.Go(t)
			o.Bind(t, filepath.Dir(filepath.Dir(compiler)))
			to := t.TempDir()
			debian.For(t, o, name, compiler, to, debian.GoCache(t, o))
			file := debian.Package(t, to)
			if got := strings.TrimSpace(host(t, "dpkg-deb", "-f", file, "Architecture")); got != name {
				t.Errorf("the package is for %s", got)
			}
			depends := host(t, "dpkg-deb", "-f", file, "Depends")
			libc := regexp.MustCompile(`libc6 \(>= 2\.(\d+)\)`).FindStringSubmatch(depends)
			if libc == nil {
				t.Errorf("no libc in Depends: %s", depends)
			} else if minor, err := strconv.Atoi(libc[1]); err != nil || minor < 36 {
				t.Errorf("packed relocations need glibc 2.36, whose loader knows them: Depends: %s", depends)
			}
			dir := unpacked(t, file)
			for _, path := range []string{"/usr/lib/" + port.triplet + "/security/pam_cockpit_cert.so", command, session, ticket} {
				program, err := elf.Open(filepath.Join(dir, path))
				if err != nil {
					t.Errorf("%s: %v", path, err)
					continue
				}
				if program.Machine != port.machine || program.Data != port.order {
					t.Errorf("%s is for %v, %v", path, program.Machine, program.Data)
				}
				program.Close()
				for _, complaint := range soft(t, filepath.Join(dir, path)) {
					t.Errorf("%s: %s", path, complaint)
				}
			}
			completions, err := os.ReadFile(filepath.Join(dir, "usr/share/bash-completion/completions/pam-cockpit-cert"))
			if err != nil || len(completions) == 0 {
				t.Errorf("completions of %d bytes: %v", len(completions), err)
			}
		})
	}
}
