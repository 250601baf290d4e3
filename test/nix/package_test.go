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
)

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
    licenses.lgpl21Plus = null;
    platforms.linux = null;
  };
  p = import ./nix/package.nix {
    inherit lib;
    buildGoModule = arguments: arguments;
    libkrb5 = null;
    pam = null;
    pkg-config = null;
  };
in
{
  inherit (p) version vendorHash buildPhase checkPhase installPhase;
  dropped = p.src;
}`

// TestThePackagesPhasesInstallEverything runs package.nix's phases outside of Nix, in
// the way and environment of buildGoModule: with the package's source, vendored
// dependencies, and no network.
func TestThePackagesPhasesInstallEverything(t *testing.T) {
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

	goTool := strings.TrimSpace(output(t, inTop(exec.Command("tools/find-go"))))
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "source"), filepath.Join(dir, "out")
	copySource(t, src, p.Dropped)
	vendor := exec.Command(goTool, "mod", "vendor")
	vendor.Dir = src
	output(t, vendor)
	// Without the parts that it drops, the source must have the same dependencies as
	// the whole source, with which `make check` compares nix/vendor-hash.
	if got := strings.TrimSpace(output(t, nixCommand(t, "nix", "hash", "path", filepath.Join(src, "vendor")))); got != p.VendorHash {
		t.Errorf("vendorHash %s, Nix says %s", p.VendorHash, got)
	}

	script := "set -e\nrunHook() { :; }\n" + p.BuildPhase + p.CheckPhase + p.InstallPhase
	build := exec.Command("bash", "-c", script)
	build.Dir = src
	build.Env = append(os.Environ(), "out="+dst, "PATH="+filepath.Dir(goTool)+":"+os.Getenv("PATH"),
		"GO111MODULE=on", "GOTOOLCHAIN=local", "GOPROXY=off", "GOSUMDB=off", "GOFLAGS=-mod=vendor -trimpath",
		"CGO_ENABLED=1", "MAKEFLAGS=", "MFLAGS=")
	output(t, build)

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
		if _, err := os.Stat(filepath.Join(dst, want)); err != nil {
			t.Error(err)
		}
	}

	// Nix rejects a package that refers to Go (disallowedReferences), and a file that
	// refers to the build directory differs from build to build.
	goRoot := strings.TrimSpace(output(t, exec.Command(goTool, "env", "GOROOT")))
	walk(t, dst, func(path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, leaked := range []string{goRoot + "/", dir} {
			// An installed file may have the path where it is installed.
			if bytes.Contains(bytes.ReplaceAll(data, []byte(dst), nil), []byte(leaked)) {
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
