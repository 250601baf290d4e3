// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command vendorhash prints the hash that Nix's buildGoModule needs as vendorHash:
// that of the directory which `go mod vendor` makes.
//
// The hash changes with go.sum and with the imported packages. `make tidy` writes
// it to nix/vendor-hash. `make check` runs this command with -check, so that a
// change of a dependency without a new hash fails. Neither needs Nix.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	check := flag.String("check", "", "compare with the hash in this `file` instead of printing it")
	goTool := flag.String("go", "go", "the Go `command` to vendor with")
	flag.Parse()
	if err := run(*goTool, *check); err != nil {
		fmt.Fprintf(os.Stderr, "vendorhash: %v\n", err)
		os.Exit(1)
	}
}

func run(goTool, check string) error {
	hash, err := vendorHash(goTool)
	if err != nil {
		return err
	}
	if check == "" {
		fmt.Println(hash)
		return nil
	}
	recorded, err := os.ReadFile(check)
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(recorded)); got != hash {
		return fmt.Errorf("%s holds %s, the dependencies are %s: run `make tidy`", check, got, hash)
	}
	return nil
}

// vendorHash vendors the module of the current directory into a temporary one.
func vendorHash(goTool string) (string, error) {
	tmp, err := os.MkdirTemp("", "vendorhash-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "vendor")
	cmd := exec.Command(goTool, "mod", "vendor", "-o", dir)
	// A go.work in a parent directory, or -mod=vendor in the environment, would change the result.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go mod vendor: %w: %s", err, bytes.TrimSpace(out))
	}
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return "", fmt.Errorf("this module has no dependencies: vendorHash is null")
	}
	return HashPath(dir)
}
