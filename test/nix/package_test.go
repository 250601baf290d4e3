// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package nix

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

func TestMain(m *testing.M) { machine.Main(m) }

// evaluated is Nix's result of package.nix with the arguments below.
type evaluated struct {
	Version, VendorHash                  string
	BuildPhase, CheckPhase, InstallPhase string
	Dropped                              []string
}

// expression calls package.nix with a buildGoModule that returns its argument: it has
// the phases that Nix would run. Instead of lib's file sets there are lists of the
// files that the source leaves out.
const expression = `
let
  lib = {
    fileContents = f: builtins.head (builtins.match "([^\n]*)\n*" (builtins.readFile f));
    fileset = {
      toSource = { root, fileset }: fileset;
      difference = _all: less: less;
      unions = sets: sets;
      maybeMissing = toString;
    };
    getLib = package: package;
    licenses.lgpl21Plus = null;
    platforms.linux = null;
  };
  p = import ./nix/package.nix {
    inherit lib;
    buildGoModule = arguments: arguments;
    libkrb5 = null;
    pam = null;
    pkg-config = null;
    sssd = "` + store + `sssd";
  };
in
{
  inherit (p) version vendorHash buildPhase checkPhase installPhase;
  dropped = p.src;
}`

// store is Nix's store, in which every package has a directory of its own.
const store = "/nix/store/"

// source is the directory in which the package is built.
const source = "/nix-build/source"

// TestThePackage runs package.nix's phases outside of Nix, and boots a machine with the
// result and with the files that the NixOS module makes.
func TestThePackage(t *testing.T) {
	dir := buildPackage(t)
	t.Run("has every file", func(t *testing.T) { hasEveryFile(t, dir) })
	t.Run("logs in", func(t *testing.T) { logsIn(t, dir) })
}

// buildPackage runs the phases in the way and environment of buildGoModule: with the
// package's source, vendored dependencies, and no network. It returns the output's
// directory, which is to be at storePath.
func buildPackage(t *testing.T) string {
	t.Helper()
	var p evaluated
	out := output(t, nixCommand(t, "nix-instantiate", "--eval", "--strict", "--json", "-E", expression))
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(read(t, "VERSION")); p.Version != want {
		t.Errorf("version %q, want %q", p.Version, want)
	}
	if want := strings.TrimSpace(read(t, "nix/vendor-hash")); p.VendorHash != want {
		t.Errorf("vendorHash %q, want %q", p.VendorHash, want)
	}

	src := filepath.Join(t.TempDir(), "source")
	copySource(t, src, p.Dropped)
	compiler := debian.Go(t)
	vendor := exec.Command(compiler, "mod", "vendor")
	vendor.Dir = src
	output(t, vendor)
	// Without the parts that it drops, the source must have the same dependencies as
	// the whole source, with which `make check` compares nix/vendor-hash.
	if got := strings.TrimSpace(output(t, nixCommand(t, "nix", "hash", "path", filepath.Join(src, "vendor")))); got != p.VendorHash {
		t.Errorf("vendorHash %s, Nix says %s", p.VendorHash, got)
	}

	o := debian.NewBuilder(t, "trixie")
	o.Copy(t, src, source)
	phases := "set -e\nrunHook() { :; }\ncd " + source + "\n" + p.BuildPhase + p.CheckPhase + p.InstallPhase
	o.Run(t, debian.Offline("sh", "-euc", plainChroot, "sh", "env", "out="+storePath(t), debian.GoCache(t, o),
		"PATH="+filepath.Dir(compiler)+":/usr/bin:/usr/sbin", "HOME=/homeless-shelter",
		"GO111MODULE=on", "GOTOOLCHAIN=local", "GOPROXY=off", "GOSUMDB=off", "GOFLAGS=-mod=vendor -trimpath", "CGO_ENABLED=1",
		"bash", "-c", phases)...)
	return o.Dir + storePath(t)
}

// plainChroot runs a command as root with the system's directories in a root directory
// that is no mount point. Nix without a sandbox builds so in a chroot, and the tests of
// the package must not mount anything there.
const plainChroot = `
	mkdir -p /chroot /nix
	for path in /*; do
		if [ -h "$path" ]; then
			cp -P "$path" /chroot
		elif [ "$path" != /chroot ]; then
			mkdir "/chroot$path"
			mount --rbind "$path" "/chroot$path"
		fi
	done
	exec chroot /chroot "$@"`

// storePath returns the directory of the package in the store.
func storePath(t *testing.T) string {
	t.Helper()
	return store + strings.Repeat("0", 32) + "-pam_cockpit_cert-" + strings.TrimSpace(read(t, "VERSION"))
}

func hasEveryFile(t *testing.T, dir string) {
	for _, want := range []string{
		"bin/pam-cockpit-cert",
		"lib/security/pam_cockpit_cert.so",
		"lib/systemd/system/system-cockpithttps.slice.d/10-pam_cockpit_cert.conf",
		"libexec/pam_cockpit_cert/cockpit-cert-session",
		"libexec/pam_cockpit_cert/cockpit-cert-ticket",
		"share/bash-completion/completions/pam-cockpit-cert",
		"share/cockpit/certlogin/manifest.json",
		"share/doc/pam_cockpit_cert/LICENSE",
		"share/doc/pam_cockpit_cert/README.md",
		"share/fish/vendor_completions.d/pam-cockpit-cert.fish",
		"share/man/man8/cockpit-cert-session.8",
		"share/man/man8/pam-cockpit-cert.8",
		"share/man/man8/pam_cockpit_cert.8",
		"share/zsh/site-functions/_pam-cockpit-cert",
	} {
		if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
			t.Error(err)
		}
	}

	// Where the dynamic linker finds no library by its name.
	program, err := os.ReadFile(filepath.Join(dir, "libexec/pam_cockpit_cert/cockpit-cert-ticket"))
	if err != nil || !bytes.Contains(program, []byte(store+"sssd/lib/libsss_nss_idmap.so.0\x00")) {
		t.Errorf("cockpit-cert-ticket does not load SSSD's library from Nix's store: %v", err)
	}

	// Nix rejects a package that refers to Go (disallowedReferences), and a file that
	// refers to the build directory differs from build to build.
	goRoot := filepath.Dir(filepath.Dir(debian.Go(t)))
	walk(t, dir, func(path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, leaked := range []string{goRoot, filepath.Dir(source)} {
			if bytes.Contains(data, []byte(leaked+"/")) {
				t.Errorf("%s contains %s", path, leaked)
			}
		}
	})
}

func walk(t *testing.T, root string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			visit(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
