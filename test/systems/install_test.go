// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

// install installs the Debian package, built on that Debian for its libc.
func install(t *testing.T, s suite, o *machine.Overlay) {
	t.Helper()
	o.Copy(t, debian.Package(t, debian.Build(t, s.release)), "/root/package.deb")
	o.Sh(t, "apt-get -y --no-install-recommends install /root/package.deb")
}
