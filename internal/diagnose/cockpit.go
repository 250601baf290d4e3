// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/safefile"
)

func (s System) cockpit(ctx context.Context) (cockpit.Version, Check) {
	const id = idCockpit
	version, err := cockpit.InstalledVersion(ctx, s.Root)
	switch {
	case errors.Is(err, cockpit.ErrNotInstalled):
		return 0, broken(id, "not installed", advise("install the package cockpit-ws"))
	case err != nil:
		return 0, unknown(id, err.Error(), asRoot())
	case version == 0:
		return 0, ok(id, "installed; its release is not known, and a recent one is assumed")
	case version.TooOld():
		return version, broken(id, fmt.Sprintf("release %d knows no certificates", version), advise("install 209 or later"))
	case version.NeedsCommand():
		return version, ok(id, fmt.Sprintf("release %d, which asks PAM through cockpit-cert-session", version))
	}
	return version, ok(id, fmt.Sprintf("release %d, which asks PAM by itself", version))
}

func (s System) certificates() Check {
	const id = idCertificates
	file, err := cockpit.ReadConfig(s.Root)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, err.Error(), asRoot())
	case err != nil:
		return broken(id, err.Error(), advise("correct that file"))
	}
	path := filepath.Join(s.Root, cockpit.ConfigFile)
	value, line := file.Get(cockpit.WebService, cockpit.Authentication)
	action, actionLine := file.Get(cockpit.TLSCert, cockpit.Action)
	switch {
	case line == 0:
		check := broken(id, "off in Cockpit, as they are by default", s.call("enable"))
		if at, section := file.Elsewhere(cockpit.WebService, cockpit.Authentication); at > 0 {
			check = check.because(fmt.Sprintf("line %d of %s sets it in [%s]; Cockpit reads it in [%s]", at, path, section, cockpit.WebService))
		}
		return check
	case value != "" && !isTrue(value):
		return broken(id, fmt.Sprintf("off in Cockpit: line %d of %s says %q", line, path, value), s.call("enable"))
	case value == "":
		return broken(id, fmt.Sprintf("off in Cockpit: line %d of %s says nothing", line, path), s.call("enable"))
	case action == "none":
		return broken(id, fmt.Sprintf("on in Cockpit, but line %d of %s has it refuse them: action = none", actionLine, path), advise("remove that line"))
	case action == "remote-login-ssh":
		return broken(id, fmt.Sprintf("on in Cockpit, but line %d of %s has it log in by SSH: action = remote-login-ssh", actionLine, path), advise("remove that line"))
	}
	if check := s.overridden(); check != nil {
		return *check
	}
	if at, mode := s.stopsCockpit(cockpit.ConfigFile, toRead); at != "" {
		return broken(id, fmt.Sprintf("on in Cockpit, by line %d of %s, which Cockpit cannot read", line, path), run("chmod", mode, at))
	}
	return ok(id, fmt.Sprintf("on in Cockpit, by line %d of %s", line, path))
}

// overridden reports a further cockpit.conf that turns certificates off: Cockpit also
// reads those of the directories in XDG_CONFIG_DIRS, which a systemd drop-in may set, and
// the last one counts (src/common/cockpitconf.c). It is nil if there is none.
func (s System) overridden() *Check {
	const id, variable = idCertificates, "XDG_CONFIG_DIRS"
	if !s.here() {
		return nil
	}
	for _, directories := range append(environment("cockpit-tls", variable), environment("cockpit-ws", variable)...) {
		for directory := range strings.SplitSeq(directories, ":") {
			path := filepath.Join(directory, "cockpit", filepath.Base(cockpit.ConfigFile))
			if path == cockpit.ConfigFile {
				continue
			}
			text, err := safefile.ReadFile(s.Root, path, safefile.MaxSize)
			if err != nil {
				continue
			}
			fix, why := advise("correct that file, or take "+variable+" out of Cockpit's units: systemctl cat cockpit"), "Cockpit reads that file last, by "+variable+" in its environment"
			file, err := cockpit.ParseConfig(text)
			if err != nil {
				check := broken(id, fmt.Sprintf("off in Cockpit: %s: %v", path, err), fix).because(why)
				return &check
			}
			if value, line := file.Get(cockpit.WebService, cockpit.Authentication); line > 0 && !isTrue(value) {
				check := broken(id, fmt.Sprintf("off in Cockpit: line %d of %s says %q", line, path, value), fix).because(why)
				return &check
			}
		}
	}
	return nil
}

// proxy reports a proxy in front of Cockpit that ends TLS: the browser presents its
// certificate to the proxy, so that Cockpit never gets it.
func (s System) proxy() []Check {
	const id = idProxy
	config, err := cockpit.ReadConfig(s.Root)
	if err != nil {
		return nil // the check of certificates says so
	}
	advice := advise("have the proxy pass TCP through unchanged for users with certificates, or let them open port 9090 itself")
	var checks []Check
	if header, line := config.Get(cockpit.WebService, "ProtocolHeader"); header != "" {
		checks = append(checks, warning(id, fmt.Sprintf("line %d of %s expects a proxy that ends TLS (ProtocolHeader = %s): no certificate arrives by it",
			line, filepath.Join(s.Root, cockpit.ConfigFile), header), advice))
	}
	if !s.here() {
		return checks
	}
	for _, args := range append(commandLines("cockpit-tls"), commandLines("cockpit-ws")...) {
		if option := withoutTLS(args); option != "" {
			checks = append(checks, broken(id, "Cockpit runs with "+option+", as behind a proxy that ends TLS: no certificate arrives", advice))
			break
		}
	}
	return checks
}

func (s System) command(release cockpit.Version) Check {
	const id = idCommand
	file, err := cockpit.ReadConfig(s.Root)
	if err != nil {
		return unknown(id, "see certificates", nil)
	}
	value, line := file.Get(cockpit.TLSCert, cockpit.Command)
	program, options := cockpit.SplitCommand(value)
	where := fmt.Sprintf("line %d of %s", line, filepath.Join(s.Root, cockpit.ConfigFile))
	switch {
	case line == 0:
		return broken(id, "not set: Cockpit maps certificates itself, and asks PAM's auth stack nothing", s.call("enable"))
	case strings.HasSuffix(value, "\r"):
		return broken(id, where+" ends in a carriage return, which Cockpit takes for a part of the program's name", s.call("enable"))
	case filepath.Base(program) != filepath.Base(s.Command):
		return broken(id, fmt.Sprintf("another program, %s, by %s", value, where), s.call("enable").after("unless that is on purpose"))
	case options != "" && release.NoOptions():
		return broken(id, fmt.Sprintf("%s has options, which Cockpit %d takes for a part of the program's name", where, release), advise("remove them: "+options))
	case strings.TrimRight(value, " \t") != value && release.NoOptions():
		return broken(id, fmt.Sprintf("%s ends in a blank, which Cockpit %d takes for a part of the program's name", where, release), advise("remove it"))
	}
	path, err := safefile.Resolve(s.Root, program)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, err.Error(), asRoot())
	case errors.Is(err, fs.ErrNotExist):
		return broken(id, fmt.Sprintf("%s, by %s, does not exist", program, where), s.call("enable").after("install "+thePackage+" again"))
	case err != nil:
		return broken(id, fmt.Sprintf("%s, by %s: %v", program, where, err), advise("correct that line"))
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return unknown(id, fmt.Sprintf("%s: %v", path, err), asRoot())
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return broken(id, path+" is not a program", advise("install "+thePackage+" again"))
	}
	if at, mode := s.stopsCockpit(program, toSearch); at != "" {
		return broken(id, path+" cannot be executed by cockpit-ws", run("chmod", mode, at))
	}
	if options != "" {
		path += ", with " + options
	}
	return ok(id, path)
}

// withoutTLS returns the option by which Cockpit leaves TLS to a proxy. cockpit-tls
// starts its own cockpit-ws with it, too, but with port 0.
func withoutTLS(args []string) string {
	for _, arg := range args[1:] {
		if (arg == "--no-tls" || arg == "--for-tls-proxy") && !slices.Contains(args, "--port=0") {
			return arg
		}
	}
	return ""
}

// stopsCockpit returns the directory or file that Cockpit's unprivileged parts may
// not access on the way to a file, and the mode that it should have. Parts that are
// not running count as users without any rights of their own.
func (s System) stopsCockpit(name string, wanted access) (at, mode string) {
	var readers []reader
	if s.here() {
		readers = append(processes("cockpit-tls"), processes("cockpit-ws")...)
	}
	if len(readers) == 0 {
		readers = []reader{anyone}
	}
	for _, reader := range readers {
		if at, mode := reader.stopped(s.Root, name, wanted); at != "" {
			return at, mode
		}
	}
	return "", ""
}

// cgroups checks the control groups, by which the module finds the certificate. The
// module works with every layout; Cockpit's own mapping needs version 2 alone since
// release 329.
func (s System) cgroups() Check {
	const id = idCgroups
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return unknown(id, err.Error(), nil)
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return broken(id, "systemd is not running here, so Cockpit cannot tell certificates apart", advise("start Cockpit on a system, or in a container, with systemd"))
	}
	return ok(id, layout(string(text)))
}

// layout tells control groups of both versions apart by a cgroup(7) file of
// /proc, which has a line for each hierarchy.
func layout(text string) string {
	unified, others := false, false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "0::") {
			unified = true
		} else {
			others = true
		}
	}
	switch {
	case unified && !others:
		return "version 2"
	case unified:
		return "versions 1 and 2"
	}
	return "version 1"
}
