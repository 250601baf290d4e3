// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package cockpit finds out which release of Cockpit a system has and what that
// release needs for logins by certificate, and turns certificates on and off in
// its configuration, cockpit.conf(5).
package cockpit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"pam_cockpit_cert/internal/safefile"
)

// The first releases of Cockpit with a feature; pam_cockpit_cert(8) lists them.
const (
	firstCertificates = 209 // TLS client certificates
	firstOwnMapping   = 248 // maps certificates itself, unless a Command is set
	firstOptions      = 302 // splits a Command into words
)

// Version is a release of Cockpit; 0 if unknown.
type Version int

// TooOld reports whether the release does not know client certificates.
func (v Version) TooOld() bool { return v > 0 && v < firstCertificates }

// NeedsCommand reports whether the release asks PAM about certificates only
// through cockpit-cert-session. An unknown release is treated as a recent one,
// which does no harm to an older one.
func (v Version) NeedsCommand() bool { return v == 0 || v >= firstOwnMapping }

// NoOptions reports whether the release takes the options of a Command in
// cockpit.conf for a part of the program's name.
func (v Version) NoOptions() bool { return v > 0 && v < firstOptions }

// ErrNotInstalled says that Cockpit is not installed.
var ErrNotInstalled = errors.New("cockpit-ws is not installed")

// programs are the paths of cockpit-ws in the distributions.
var programs = []string{"/usr/lib/cockpit/cockpit-ws", "/usr/libexec/cockpit-ws"}

// InstalledVersion returns the installed release. It asks the package manager,
// because the programs of a foreign root may not run here.
func InstalledVersion(ctx context.Context, root string) (Version, error) {
	for _, ask := range []func(context.Context, string) string{fromDpkg, fromPacman, fromRPM, fromNix, fromProgram} {
		if version := leading(ask(ctx, root)); version > 0 {
			return version, nil
		}
	}
	for _, program := range programs {
		if safefile.Exists(root, program) {
			return 0, nil
		}
	}
	return 0, ErrNotInstalled
}

var leadingNumber = regexp.MustCompile(`^(?:\d+:)?(\d+)`)

// leading returns the first number of a package's version, after the epoch.
func leading(version string) Version {
	match := leadingNumber.FindStringSubmatch(strings.TrimSpace(version))
	if match == nil {
		return 0
	}
	number, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return Version(number)
}

func fromDpkg(_ context.Context, root string) string {
	path, err := safefile.Resolve(root, "/var/lib/dpkg/status")
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	ours, installed := false, false
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "":
			ours, installed = false, false
		case line == "Package: cockpit-ws":
			ours = true
		case strings.HasPrefix(line, "Status: "):
			installed = strings.HasSuffix(line, " installed")
		case ours && installed && strings.HasPrefix(line, "Version: "):
			return strings.TrimPrefix(line, "Version: ")
		}
	}
	return ""
}

func fromPacman(_ context.Context, root string) string {
	dir, err := safefile.Resolve(root, "/var/lib/pacman/local")
	if err != nil {
		return ""
	}
	found, err := filepath.Glob(filepath.Join(dir, "cockpit-[0-9]*"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return strings.TrimPrefix(filepath.Base(found[0]), "cockpit-")
}

// fromRPM asks rpm. It names an existing database, because rpm would create one
// otherwise.
func fromRPM(ctx context.Context, root string) string {
	for _, dir := range []string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"} {
		for _, database := range []string{"rpmdb.sqlite", "Packages.db", "Packages"} {
			if _, err := safefile.Resolve(root, filepath.Join(dir, database)); err != nil {
				continue
			}
			out, err := exec.CommandContext(ctx, "rpm", "--root", root, "--dbpath", dir, "-q", "--queryformat", "%{VERSION}\n", "cockpit-ws").Output()
			if err == nil {
				return string(out)
			}
		}
	}
	return ""
}

// inStore matches a program of Cockpit in the Nix store, whose path has the release.
var inStore = regexp.MustCompile(`(?m)^ExecStart=/nix/store/[0-9a-z]{32}-cockpit-([0-9][^/]*)/libexec/`)

// fromNix reads the unit that NixOS takes from Cockpit's package.
func fromNix(_ context.Context, root string) string {
	unit, err := safefile.ReadFile(root, "/etc/systemd/system/cockpit.service", 1<<16)
	if err != nil {
		return ""
	}
	match := inStore.FindSubmatch(unit)
	if match == nil {
		return ""
	}
	return string(match[1])
}

// fromProgram asks cockpit-ws itself, which may have been built from source.
func fromProgram(ctx context.Context, root string) string {
	if root != "/" {
		return ""
	}
	for _, program := range programs {
		out, err := exec.CommandContext(ctx, program, "--version").Output()
		if err != nil {
			continue
		}
		for _, line := range bytes.Split(out, []byte("\n")) {
			if version, ok := bytes.CutPrefix(line, []byte("Version: ")); ok {
				return string(version)
			}
		}
	}
	return ""
}
