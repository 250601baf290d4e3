// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package cockpit knows the Cockpit of a system: which release it is, what that
// needs for logins with certificates, and its configuration, cockpit.conf(5), in
// which certificates are turned on and off.
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

// First releases of Cockpit that do something, all of them in pam_cockpit_cert(8).
const (
	firstCertificates = 209 // TLS client certificates
	firstOwnMapping   = 248 // maps them itself, unless told otherwise
	firstOptions      = 302 // splits a Command into words
)

// Version is a release of Cockpit; 0 if it is not known.
type Version int

// TooOld reports whether it has no certificates at all.
func (v Version) TooOld() bool { return v > 0 && v < firstCertificates }

// NeedsCommand reports whether it asks PAM about certificates only by
// cockpit-cert-session. One that is not known is taken for a recent one: an
// older one is not harmed.
func (v Version) NeedsCommand() bool { return v == 0 || v >= firstOwnMapping }

// NoOptions reports whether it takes the options of a command in cockpit.conf
// for a part of the program's name.
func (v Version) NoOptions() bool { return v > 0 && v < firstOptions }

// ErrNotInstalled says that there is no Cockpit.
var ErrNotInstalled = errors.New("cockpit-ws is not installed")

// programs are where distributions have cockpit-ws.
var programs = []string{"/usr/lib/cockpit/cockpit-ws", "/usr/libexec/cockpit-ws"}

// InstalledVersion returns the release that is installed, by the word of the package
// manager, for a foreign root's programs may not run here.
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

// leading is the first number of a package's version, after an epoch.
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

// fromRPM asks rpm only about a database that is there, and where it is: else
// it would make one.
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

// inStore is a program of Cockpit's in the Nix store, which names the release.
var inStore = regexp.MustCompile(`(?m)^ExecStart=/nix/store/[0-9a-z]{32}-cockpit-([0-9][^/]*)/libexec/`)

// fromNix reads the unit that NixOS takes from the package.
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

// fromProgram asks cockpit-ws itself, which somebody may have built.
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
