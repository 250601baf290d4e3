// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package scriptlet

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/safefile"
)

// rpmVersion is the same for each of the service's files. RPM leaves a file that
// has our rule as it is when cockpit-ws has a new version, so that a rule that
// is missing was always taken out by an administrator.
const rpmVersion = "rpm"

// rpmPosttrans runs at the end of a transaction that installed or upgraded us.
func (s Scriptlet) rpmPosttrans() error {
	// An rpm-ostree tree is composed without /var, anew each time, and keeps
	// the administrator's changes of /etc by itself.
	if unix.Access(filepath.Join(s.Root, "var/lib"), unix.W_OK) != nil {
		return s.putIn("")
	}
	return s.putIn(rpmVersion)
}

// rpmTransfiletriggerin runs at the end of a transaction that installed files
// in one of PAM's directories. Standard input has their paths, a line each.
func (s Scriptlet) rpmTransfiletriggerin(in io.Reader) error {
	fromCockpit := false
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fromCockpit = fromCockpit || strings.HasSuffix(lines.Text(), "/pam.d/"+service)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the paths of installed files: %w", err)
	}
	if !fromCockpit {
		return nil
	}
	err := s.rpmPosttrans()
	if unused := serviceFile + ".rpmnew"; safefile.Exists(s.Root, unused) {
		s.warn("cockpit-ws has a new service file, which is not in use yet;")
		s.warn("to use it, move %s to", filepath.Join(s.Root, unused))
		s.warn("%s and run:", filepath.Join(s.Root, serviceFile))
		s.warn("%s", s.installCommand())
	}
	return err
}

// rpmTriggerun runs when a cockpit-ws is erased. Its arguments are how many
// instances of ours and of cockpit-ws are left. If cockpit-ws goes and we stay,
// in spite of the dependency, its file is its own again, and a later cockpit-ws
// is a new one.
func (s Scriptlet) rpmTriggerun(left []string) error {
	if len(left) != 2 || left[0] == "0" || left[1] != "0" {
		return nil
	}
	return s.takeOut()
}

// rpmPreun runs before a version of ours is erased; its argument is how many
// are left then.
func (s Scriptlet) rpmPreun(left []string) error {
	if len(left) != 1 || left[0] != "0" {
		return nil
	}
	return s.leave()
}
