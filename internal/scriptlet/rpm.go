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

// rpmVersion is the same for every version of the service's file. RPM keeps a
// file that has the rule when cockpit-ws is upgraded, so that a missing rule was
// always removed by an administrator.
const rpmVersion = "rpm"

// rpmPosttrans runs at the end of a transaction that installed or upgraded this package.
func (s Scriptlet) rpmPosttrans() error {
	// rpm-ostree composes each tree anew and without /var, and itself keeps the
	// administrator's changes of /etc.
	if unix.Access(filepath.Join(s.Root, "var/lib"), unix.W_OK) != nil {
		return s.putIn("")
	}
	return s.putIn(rpmVersion)
}

// rpmTransfiletriggerin runs at the end of a transaction that installed files
// in one of PAM's directories. Standard input has their paths, one on each line.
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
// instances of this package and of cockpit-ws are left. If cockpit-ws is erased
// and this package stays, in spite of the dependency, the rule is removed, and a
// later cockpit-ws gets it again.
func (s Scriptlet) rpmTriggerun(left []string) error {
	if len(left) != 2 || left[0] == "0" || left[1] != "0" {
		return nil
	}
	return s.takeOut()
}

// rpmPreun runs before a version of this package is erased; its argument is how
// many versions are left then.
func (s Scriptlet) rpmPreun(left []string) error {
	if len(left) != 1 || left[0] != "0" {
		return nil
	}
	return s.leave(func() error { return nil })
}
