// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/test/machine"
)

// install builds everything in the overlay, with that Debian's compiler and
// libc, and installs it there as somebody would who builds from source.
func install(t *testing.T, s suite, o *machine.Overlay) {
	t.Helper()
	source := machine.Source(t)
	copySource(t, source, filepath.Join(o.Dir, "usr/src/pam_cockpit_cert"))

	// That Debian's Go may be too old; ours has no libc in it.
	goroot := goEnv(t, "GOROOT")
	modules := goEnv(t, "GOMODCACHE")
	o.Bind(t, goroot)
	o.Bind(t, modules)
	cache := filepath.Join(machine.Cache(t), "go-build")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	o.BindWritable(t, cache)
	o.Run(t, "env", "GOMODCACHE="+modules, "GOCACHE="+cache, "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local",
		"sh", "-euc", `
		cd /usr/src/pam_cockpit_cert
		security=$(dirname "$(dpkg -L libpam-modules | grep /pam_unix.so$)")
		make -s install GO="$1" PAMDIR="$security"`, "sh", filepath.Join(goroot, "bin/go"))
}

// copySource copies what a commit would hold.
func copySource(t *testing.T, from, to string) {
	t.Helper()
	files, err := exec.Command("git", "-c", "safe.directory=*", "-C", from, "ls-files", "--cached", "--others", "--exclude-standard", "-z").Output()
	if err != nil {
		t.Fatalf("listing the source: %v", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", "-euc", `tar -C "$1" --null --files-from=- --ignore-failed-read -c | tar -C "$2" -x --no-same-owner`, "sh", from, to)
	command.Stdin = strings.NewReader(string(files))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("copying the source: %v\n%s", err, out)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}
