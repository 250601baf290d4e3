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
	"strings"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/safefile"
)

func (s System) cockpit(ctx context.Context) (cockpit.Version, Link) {
	const name = "Cockpit"
	version, err := cockpit.InstalledVersion(ctx, s.Root)
	switch {
	case errors.Is(err, cockpit.ErrNotInstalled):
		return 0, broken(name, "is not installed", "install the package cockpit-ws")
	case err != nil:
		return 0, unseen(name, err.Error(), asRoot())
	case version == 0:
		return 0, ok(name, "is there; its release is not known, and taken for a recent one")
	case version.TooOld():
		return version, broken(name, fmt.Sprintf("release %d knows no certificates", version), "install 209 or later")
	case version.NeedsCommand():
		return version, ok(name, fmt.Sprintf("release %d; it asks PAM through cockpit-cert-session", version))
	}
	return version, ok(name, fmt.Sprintf("release %d; it asks PAM by itself", version))
}

func (s System) certificates() Link {
	const name = "certificates"
	file, err := cockpit.ReadConfig(s.Root)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unseen(name, err.Error(), asRoot())
	case err != nil:
		return broken(name, err.Error(), "mend it")
	}
	path := filepath.Join(s.Root, cockpit.ConfigFile)
	value, line := file.Get(cockpit.WebService, cockpit.Authentication)
	action, actionLine := file.Get(cockpit.TLSCert, cockpit.Action)
	switch {
	case line == 0:
		return broken(name, "are off in Cockpit, as they are by default", s.call("enable"))
	case value != "" && !isTrue(value):
		return broken(name, fmt.Sprintf("are off in Cockpit: line %d of %s says %q", line, path, value), s.call("enable"))
	case value == "":
		return broken(name, fmt.Sprintf("are off in Cockpit: line %d of %s says nothing", line, path), s.call("enable"))
	case action == "none":
		return broken(name, fmt.Sprintf("are on in Cockpit, but line %d of %s has it refuse them: action = none", actionLine, path), "remove that line")
	case action == "remote-login-ssh":
		return broken(name, fmt.Sprintf("are on in Cockpit, but line %d of %s has it log in by SSH: action = remote-login-ssh", actionLine, path), "remove that line")
	default:
		return ok(name, fmt.Sprintf("are on in Cockpit, by line %d of %s", line, path))
	}
}

func (s System) command(release cockpit.Version) Link {
	const name = "session command"
	if !release.NeedsCommand() {
		return unused(name, fmt.Sprintf("Cockpit %d needs none", release))
	}
	file, err := cockpit.ReadConfig(s.Root)
	if err != nil {
		return unseen(name, "see certificates", "")
	}
	value, line := file.Get(cockpit.TLSCert, cockpit.Command)
	program, options := cockpit.SplitCommand(value)
	where := fmt.Sprintf("line %d of %s", line, filepath.Join(s.Root, cockpit.ConfigFile))
	switch {
	case line == 0:
		return broken(name, "is not set: Cockpit maps certificates itself, and asks PAM's auth rules nothing", s.call("enable"))
	case filepath.Base(program) != filepath.Base(s.Command):
		return broken(name, fmt.Sprintf("is another program, %s, by %s", value, where), "if that is not on purpose: "+s.call("enable"))
	case options != "" && release.NoOptions():
		return broken(name, fmt.Sprintf("has options in %s, which Cockpit %d takes for a part of the program's name", where, release), "remove them: "+options)
	}
	path, err := safefile.Resolve(s.Root, program)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unseen(name, err.Error(), asRoot())
	case errors.Is(err, fs.ErrNotExist):
		return broken(name, fmt.Sprintf("%s, by %s, does not exist", program, where), "install "+thePackage+" again, then "+s.call("enable"))
	case err != nil:
		return broken(name, fmt.Sprintf("%s, by %s: %v", program, where, err), "mend it")
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return unseen(name, fmt.Sprintf("%s: %v", path, err), asRoot())
	}
	// cockpit-ws runs it as a user who is nobody else's.
	if stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Mode&0o001 == 0 {
		return broken(name, path+" cannot be executed by everybody", "chmod 755 "+path)
	}
	if options != "" {
		path += ", with " + options
	}
	return ok(name, path)
}

// cgroups tell certificates and logins apart. Any layout does for us; Cockpit's
// own mapping wants version 2 alone since release 329.
func (s System) cgroups() Link {
	const name = "control groups"
	if !s.here() {
		return unused(name, elsewhere)
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return unseen(name, err.Error(), "")
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return broken(name, "are not systemd's, which is not this system's init", "Cockpit has to be started by systemd")
	}
	return ok(name, layout(string(text)))
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

func (s System) selinux() Link {
	const name = "SELinux"
	if !s.here() {
		return unused(name, elsewhere)
	}
	text, err := os.ReadFile("/sys/fs/selinux/enforce")
	switch {
	case errors.Is(err, os.ErrNotExist):
		return unused(name, "is not in use")
	case err != nil:
		return unseen(name, err.Error(), asRoot())
	case len(text) > 0 && text[0] == '1':
		return ok(name, "enforces; what it denies is in: ausearch -m avc -ts recent")
	}
	return ok(name, "permits everything")
}
