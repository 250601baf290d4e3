// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"strings"
	"testing"
)

// TestOSTreeTakesThePackage: rpm-ostree refuses packages with scripts of some
// kinds (src/libpriv/rpmostree-scripts.cxx has the list), never runs those of
// removals, and of those for files only what is below /usr.
func TestOSTreeTakesThePackage(t *testing.T) {
	for _, b := range []build{plain, subfolder} {
		file := binary(t, b)
		for _, tag := range []string{"TRIGGERTYPE", "TRIGGERSCRIPTPROG", "TRANSFILETRIGGERSCRIPTPROG", "POSTTRANSPROG", "PREUNPROG"} {
			out := output(t, command("", "rpm", "-qp", "--qf", "[%{"+tag+"}\n]", file))
			if strings.Contains(out, "<lua>") || tag == "TRIGGERTYPE" && (strings.Contains(out, "in\n") || strings.Contains(out, "prein")) {
				t.Errorf("rpm-ostree would refuse the build %s: %s is %q", b.name, tag, out)
			}
		}
	}
}

// TestLayered does what rpm-ostree does with a layered package: it lays out the
// files, and runs the one script that is left with a read-only /var.
func TestLayered(t *testing.T) {
	for _, b := range []build{plain, subfolder} {
		h := newHost(t, []build{b}, sssdDBus, cockpitWS("360", fedoraPAM))
		h.must("dnf", "install", "cockpit-ws", "sssd-dbus")
		h.must("rpm", "-i", "--noscripts", "--notriggers", binary(t, b))
		h.is("laid out", service, fedoraPAM)
		script := output(t, command("", "rpm", "-qp", "--qf", "%{POSTTRANS}", binary(t, b)))
		h.Write(t, "/usr/script", 0o644, []byte(script))
		out := h.Sh(t, `mount --bind /var /var; mount -o remount,bind,ro /var; ! touch /var/x 2>/dev/null
			sh -e /usr/script 1 </dev/null`)
		if out != "" {
			t.Errorf("%s: the script says %q", b.name, out)
		}
		want := rule
		if b.name == subfolder.name {
			want = ruleBeside
		}
		h.is(b.name, service, insert(fedoraPAM, want))
		h.none(b.name, record, "/etc/.pam_cockpit_cert.pam.d")
	}
}
