// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package debian

import "pam_cockpit_cert/internal/testutil/machine"

// Cockpit returns the packages of Cockpit: the release's, or the newest, which come
// from its backports.
func Cockpit(release string, newest bool) []string {
	packages := []string{"cockpit-ws", "cockpit-bridge", "cockpit-system"}
	if newest {
		for i := range packages {
			packages[i] += "/" + release + "-backports"
		}
	}
	return packages
}

// Host is the recipe of a machine with Cockpit and SSSD. Suites that use the same one
// share its root.
func Host(release string, newest bool) machine.Recipe {
	return machine.Recipe{Suite: release, Backports: newest, Packages: append(Cockpit(release, newest),
		"systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev",
		"sssd-common", "sssd-dbus", "sssd-proxy", "libnss-sss",
		"curl", "openssl", "procps", "login", "passwd", "libpam-cap",
	)}
}
