// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ours = "pam_cockpit_cert"

func TestInstalledAndErased(t *testing.T) {
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("360", fedoraPAM))
	h.must("dnf", "install", ours)
	h.is("installed in one transaction", service, withRule(fedoraPAM))
	h.clean("installed", ours)
	if out := h.must("dnf", "reinstall", ours); !strings.Contains(out, "Reinstalled") {
		t.Errorf("reinstalling: %s", out)
	}
	h.is("reinstalled", service, withRule(fedoraPAM))
	h.must("dnf", "reinstall", "cockpit-ws")
	h.is("cockpit-ws reinstalled", service, withRule(fedoraPAM))

	h.must("rpm", "-e", ours)
	h.is("erased", service, fedoraPAM)
	h.clean("erased", "cockpit-ws")
	h.none("erased", record, stub, tool, "/usr/libexec/pam_cockpit_cert", "/usr/share/pam_cockpit_cert", "/etc/.pam_cockpit_cert.pam.d")

	h.must("dnf", "install", ours)
	h.is("installed where cockpit-ws was", service, withRule(fedoraPAM))
	h.must("dnf", "remove", "cockpit-ws")
	h.none("both erased", service, record, stub)
}

func TestTheStubsCockpitIsUpgradedWithIt(t *testing.T) {
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("344", fedoraPAM))
	if out, err := h.try("dnf", "install", ours); err == nil || !strings.Contains(out, "cockpit-ws >= 355") {
		t.Errorf("installed beside the stub (%v):\n%s", err, out)
	}
	h.must("dnf", "install", "cockpit-ws")
	h.is("before", stub, "the stub of 344")
	h.add(cockpitWS("360", fedoraPAM))
	h.must("dnf", "install", ours)
	h.version("cockpit-ws", "360")
	h.is("both upgraded", service, withRule(fedoraPAM))
	h.clean("both upgraded", ours)

	if out, err := h.try("dnf", "downgrade", "cockpit-ws-344"); err == nil && strings.Contains(out, "Downgraded") {
		t.Errorf("back to the stub:\n%s", out)
	}
	h.is("not downgraded", service, withRule(fedoraPAM))
	h.must("rpm", "-e", ours)
	h.must("dnf", "downgrade", "cockpit-ws-344")
	h.is("without us, downgraded", stub, "the stub of 344")
	h.is("without us, downgraded", service, fedoraPAM)
}

func TestUpgradedAndDowngraded(t *testing.T) {
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("355", fedoraPAM))
	h.must("dnf", "install", ours)
	h.addOurs(next)
	h.must("dnf", "upgrade", ours)
	h.is("upgraded", service, withRule(fedoraPAM))
	h.clean("upgraded", ours)
	h.must("dnf", "downgrade", ours)
	h.is("downgraded", service, withRule(fedoraPAM))

	h.add(cockpitWS("360", fedoraPAM))
	h.must("dnf", "upgrade", "cockpit-ws")
	h.version("cockpit-ws", "360")
	h.is("cockpit-ws upgraded beneath", service, withRule(fedoraPAM))
	h.none("cockpit-ws upgraded beneath", newService)
	h.must("dnf", "downgrade", "cockpit-ws")
	h.version("cockpit-ws", "355")
	h.is("cockpit-ws downgraded beneath", service, withRule(fedoraPAM))
	h.must("dnf", "upgrade")
	h.is("both upgraded", service, withRule(fedoraPAM))
	h.must("rpm", "-e", ours)
	h.is("erased", service, fedoraPAM)
	h.clean("erased", "cockpit-ws")
}

// TestWhatWasTurnedOnGoesWithIt: cockpit.conf names a program of the package.
func TestWhatWasTurnedOnGoesWithIt(t *testing.T) {
	const config = "/etc/cockpit/cockpit.conf"
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("355", fedoraPAM))
	h.must("dnf", "install", ours)
	h.must("rpm", "-e", ours)
	h.none("never turned on", config)

	h.must("dnf", "install", ours)
	const theirs = "[WebService]\nMaxStartups = 20\n"
	h.Write(t, config, 0o644, []byte(theirs))
	h.Run(t, tool, "enable")
	on := h.Run(t, "cat", config)
	if !strings.Contains(on, "cockpit-cert-session") {
		t.Fatalf("turned on, %s is\n%s", config, on)
	}
	h.addOurs(next)
	h.must("dnf", "upgrade", ours)
	h.is("upgraded", config, on)
	h.must("dnf", "downgrade", ours)
	h.is("downgraded", config, on)
	h.must("dnf", "reinstall", ours)
	h.is("reinstalled", config, on)

	// What somebody changed since is theirs.
	h.Sh(t, "sed -i 's/^MaxStartups.*/MaxStartups = 30/' "+config)
	h.must("rpm", "-e", ours)
	h.is("erased", config, strings.Replace(theirs, "20", "30", 1))
	h.none("erased", record)

	h.Sh(t, "rm -r /etc/cockpit")
	h.must("dnf", "install", ours)
	h.Run(t, tool, "enable")
	h.must("dnf", "remove", "cockpit-ws")
	h.none("both erased", config, service, record)
}

func TestAnAdministratorIsNotOverruled(t *testing.T) {
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("355", fedoraPAM))
	h.must("dnf", "install", ours)
	// By whatever editor.
	h.Write(t, service, 0o644, []byte(fedoraPAM))

	h.addOurs(next)
	h.must("dnf", "upgrade", ours)
	h.is("upgraded", service, fedoraPAM)
	h.must("dnf", "reinstall", ours)
	h.is("reinstalled", service, fedoraPAM)
	h.add(cockpitWS("360", newerPAM))
	h.must("dnf", "upgrade", "cockpit-ws")
	h.version("cockpit-ws", "360")
	h.is("cockpit-ws has a new file", service, newerPAM)
	h.none("cockpit-ws has a new file", newService)

	h.must("rpm", "-e", ours)
	h.is("erased", service, newerPAM)
	h.must("dnf", "install", ours)
	h.is("wanted again", service, withRule(newerPAM))

	// Nor are the options of the rule, and where it is.
	moved := newerPAM + strings.TrimSuffix(rule, "\n") + " debug timeout=20\n"
	h.Write(t, service, 0o644, []byte(moved))
	h.must("dnf", "reinstall", ours)
	h.is("moved, and reinstalled", service, moved)
	h.must("rpm", "-e", ours)
	h.is("moved, and erased", service, newerPAM)
}

func TestANewServiceFile(t *testing.T) {
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("355", fedoraPAM))
	h.must("dnf", "install", ours)
	h.add(cockpitWS("360", newerPAM))
	out := h.must("dnf", "upgrade")
	h.is("with the rule in it, the old one stays", service, withRule(fedoraPAM))
	h.is("with the rule in it, the old one stays", newService, newerPAM)
	if !strings.Contains(out, "to use it, move "+newService+" to\npam-cockpit-cert: "+service+" and run:") {
		t.Errorf("nobody is told:\n%s", out)
	}

	// What the message says.
	h.Sh(t, "mv "+newService+" "+service+"; pam-cockpit-cert pam install --module pam_cockpit_cert.so")
	h.is("taken over", service, withRule(newerPAM))
	h.must("dnf", "reinstall", "cockpit-ws")
	h.none("taken over", newService)
	h.must("rpm", "-e", ours)
	h.is("erased", service, newerPAM)
	h.clean("erased", "cockpit-ws")
}

func TestCockpitGoesFirst(t *testing.T) {
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("360", fedoraPAM))
	h.must("dnf", "install", ours)
	h.must("rpm", "-e", "--nodeps", "cockpit-ws")
	h.none("cockpit-ws is gone", service, record)
	// RPM decides to keep an edited file before we can fix it.
	if saved, err := os.ReadFile(filepath.Join(h.Dir, service+".rpmsave")); err == nil && string(saved) != fedoraPAM {
		t.Errorf("saved:\n%s", saved)
	}
	h.must("dnf", "install", "cockpit-ws")
	h.is("cockpit-ws is back", service, withRule(fedoraPAM))

	h.must("rpm", "-e", "--nodeps", "cockpit-ws")
	h.must("rpm", "-e", ours)
	h.none("both are gone", service, record, tool)
}

func TestTheVendorsFolder(t *testing.T) {
	const include = rule +
		"auth include /usr/lib/pam.d/cockpit\naccount include /usr/lib/pam.d/cockpit\n" +
		"password include /usr/lib/pam.d/cockpit\nsession include /usr/lib/pam.d/cockpit\n"
	h := newHost(t, []build{plain}, sssdDBus, suseWS("356", susePAM))
	h.must("dnf", "install", ours)
	h.is("installed", service, include)
	h.is("installed", vendorService, susePAM)

	newer := susePAM + "session    optional     pam_ssh_add.so\n"
	h.add(suseWS("360", newer))
	h.must("dnf", "upgrade")
	h.is("cockpit-ws upgraded", service, include)
	h.is("cockpit-ws upgraded", vendorService, newer)

	h.must("rpm", "-e", ours)
	h.none("erased", service)
	h.clean("erased", "cockpit-ws")

	h.must("dnf", "install", ours)
	h.must("rpm", "-e", "--nodeps", "cockpit-ws")
	h.none("cockpit-ws is gone", service, vendorService)
	h.must("dnf", "install", "cockpit-ws")
	h.is("cockpit-ws is back", service, include)
	h.must("dnf", "remove", "cockpit-ws")
	h.none("both are gone", service, vendorService, record)
}

func TestNoInfoPipeNoPackage(t *testing.T) {
	h := newHost(t, []build{plain}, cockpitWS("360", fedoraPAM))
	h.must("dnf", "install", "cockpit-ws")
	out, err := h.try("dnf", "install", ours)
	if err == nil || !strings.Contains(out, "nothing provides sssd-dbus") {
		t.Errorf("installed without sssd-dbus (%v):\n%s", err, out)
	}
	if out, err := h.try("rpm", "-i", binary(t, plain)); err == nil || !strings.Contains(out, "sssd-dbus is needed by") {
		t.Errorf("installed without sssd-dbus (%v):\n%s", err, out)
	}
	h.is("refused", service, fedoraPAM)
	h.clean("refused", "cockpit-ws")
}

// TestBesideTheStub is about RHEL's older releases, and the way from there.
func TestBesideTheStub(t *testing.T) {
	h := newHost(t, []build{subfolder}, sssdDBus, cockpitWS("344", fedoraPAM))
	h.must("dnf", "install", ours)
	h.is("installed", service, insert(fedoraPAM, ruleBeside))
	h.is("installed", stub, "the stub of 344")
	h.clean("installed", ours)
	h.must("dnf", "reinstall", "cockpit-ws")
	h.is("cockpit-ws reinstalled", stub, "the stub of 344")

	h.add(cockpitWS("360", fedoraPAM))
	h.must("dnf", "upgrade", "cockpit-ws")
	h.none("cockpit-ws has no stub any more", stub)
	h.is("cockpit-ws has no stub any more", service, insert(fedoraPAM, ruleBeside))
	h.must("dnf", "downgrade", "cockpit-ws")
	h.is("cockpit-ws has its stub again", stub, "the stub of 344")

	// The build for newer releases follows, and the module moves.
	h.addOurs(next)
	h.must("dnf", "upgrade")
	h.is("upgraded to the other build", service, withRule(fedoraPAM))
	h.none("upgraded to the other build", "/usr/lib64/security/pam_cockpit_cert")
	h.must("rpm", "-U", "--oldpackage", "--replacepkgs", binary(t, subfolder))
	h.is("and back", service, insert(fedoraPAM, ruleBeside))
	h.must("rpm", "-e", ours)
	h.is("erased", service, fedoraPAM)
	h.clean("erased", "cockpit-ws")
}

// TestReadOnlyUsr is about image-based systems: the image is made with the
// package, by another system's rpm, and only /etc and /var change afterwards.
func TestReadOnlyUsr(t *testing.T) {
	h := newHost(t, []build{plain}, sssdDBus, cockpitWS("360", fedoraPAM))
	h.must("dnf", "install", "cockpit-ws", "sssd-dbus")
	h.must("rpm", "-i", binary(t, plain))
	h.is("in the image", service, withRule(fedoraPAM))

	const booted = "mount --bind /usr /usr; mount -o remount,bind,ro /usr; ! touch /usr/x 2>/dev/null\n"
	// Images have no /var of the machine that made them.
	h.Sh(t, booted+"rm -r /var/lib/pam_cockpit_cert; pam-cockpit-cert pam remove")
	h.is("taken out on the machine", service, fedoraPAM)
	h.Sh(t, booted+"pam-cockpit-cert pam install")
	h.is("put in on the machine", service, withRule(fedoraPAM))
	h.must("rpm", "-e", ours)
	h.is("erased", service, fedoraPAM)
	h.none("erased", record)
}
