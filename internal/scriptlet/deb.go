// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package scriptlet

import (
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"pam_cockpit_cert/internal/safefile"
)

// debPostinst runs when the package is configured, and by the package's trigger
// when cockpit-ws installs its service file. Debian Policy 6.5 has the arguments.
func (s Scriptlet) debPostinst(args []string) error {
	if len(args) > 0 && args[0] == "abort-remove" {
		return s.restore()
	}
	if len(args) == 0 || args[0] != "configure" && args[0] != "triggered" {
		return nil
	}
	var err error
	if args[0] == "configure" {
		err = s.restore() // if a removal was killed after its prerm had begun
	}
	version, exists := s.debVersion(), safefile.Exists(s.Root, serviceFile)
	switch {
	case version != "" && exists:
		return errors.Join(err, s.putIn(version))
	case version == "" && !exists:
		// cockpit-ws is not installed, or was purged. Then the rule was removed
		// with the file, and not by an administrator.
		return errors.Join(err, s.takeOut())
	}
	return err
}

// debPrerm runs before the package's files are removed. If the removal fails after
// that, dpkg calls the postinst with abort-remove, or with configure after dpkg itself
// was killed; otherwise the postrm removes the record for that.
func (s Scriptlet) debPrerm(args []string) error {
	if len(args) == 0 || args[0] != "remove" {
		return nil
	}
	return s.leaveRestorably()
}

var md5Sum = regexp.MustCompile(`^[0-9a-f]{32}$`)

// debVersion returns the MD5 sum of the service file in the package cockpit-ws,
// by which dpkg tells versions of a conffile apart. It is empty if cockpit-ws is
// not installed, or not configured, when dpkg has "newconffile" instead.
func (s Scriptlet) debVersion() string {
	args := []string{"--show", "--showformat=${Conffiles}\n", "cockpit-ws"}
	if s.Root != "/" { // otherwise dpkg's environment names the directory
		args = append([]string{"--admindir=" + filepath.Join(s.Root, "var/lib/dpkg")}, args...)
	}
	out, err := exec.Command("dpkg-query", args...).Output()
	if err != nil {
		return "" // it does not know the package
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == serviceFile && md5Sum.MatchString(fields[1]) {
			return fields[1]
		}
	}
	return ""
}
