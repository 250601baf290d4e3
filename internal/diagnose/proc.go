// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"os"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/cockpit"
)

// hiding reports a /proc that hides other processes. Up to Cockpit 329 the module
// only reads the control group of its own process. With Cockpit 330 and later it
// reads that of the process at the other end of a socket, without capabilities: only
// as a member of root's group, which may see all processes unless the mount's gid=
// names another group.
func (s System) hiding(release cockpit.Version) *Check {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || !hides(string(text)) || release != 0 && release < firstSocket {
		return nil
	}
	check := broken(idProc, "/proc hides other processes from the module: Cockpit 330 and later cannot be told apart",
		run("mount", "-o", "remount,hidepid=2,gid=0", "/proc").after("and correct /etc/fstab, or where else the option comes from"))
	return &check
}

// firstSocket is the first release of Cockpit whose cockpit-session is a service with
// a socket.
const firstSocket = 330

// hides reports whether /proc hides processes, by its mount options in a text like
// /proc/self/mountinfo, see proc(5). The last mount counts.
func hides(mounts string) bool {
	hidden := false
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		separator := slices.Index(fields, "-")
		if separator < 0 || len(fields) < separator+4 || len(fields) < 5 || fields[4] != "/proc" {
			continue
		}
		options := map[string]string{}
		for option := range strings.SplitSeq(fields[separator+3], ",") {
			key, value, _ := strings.Cut(option, "=")
			options[key] = value
		}
		switch options["hidepid"] {
		case "", "0", "off":
			hidden = false
		case "4", "ptraceable": // no group is an exception
			hidden = true
		default:
			hidden = options["gid"] != "" && options["gid"] != "0"
		}
	}
	return hidden
}
