// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The services' files that a cockpit-ws may have. What matters is that they
// differ, and how distributions write them.
const (
	fedoraPAM = `#%PAM-1.0
auth       required     pam_sepermit.so
auth       substack     password-auth
auth       include      postlogin
auth       optional     pam_ssh_add.so
account    required     pam_nologin.so
account    include      password-auth
password   include      password-auth
session    required     pam_selinux.so close
session    required     pam_loginuid.so
session    required     pam_selinux.so open env_params
session    include      password-auth
session    include      postlogin
`
	newerPAM = `#%PAM-1.0
# this one is newer
auth       required     pam_sepermit.so
auth       substack     password-auth
account    required     pam_nologin.so
account    include      password-auth
password   include      password-auth
session    include      password-auth
session    include      postlogin
`
	susePAM = `#%PAM-1.0
auth       substack     common-auth
account    required     pam_nologin.so
account    include      common-account
password   include      common-password
session    include      common-session
`
)

// standIn is a package of others, with their file list.
type standIn struct {
	name, version string
	provides      []string
	files         map[string]string // path: content
	config        string            // of the files, the %config(noreplace)
}

// stub is the module that cockpit-ws had up to release 354.
const stub = "/usr/lib64/security/pam_cockpit_cert.so"

// cockpitWS is a cockpit-ws that has its service's file in /etc/pam.d.
func cockpitWS(version, pam string) standIn {
	return cockpitWith(version, map[string]string{service: pam}, service)
}

// suseWS has it in the vendor's directory.
func suseWS(version, pam string) standIn {
	return cockpitWith(version, map[string]string{vendorService: pam}, "")
}

func cockpitWith(version string, files map[string]string, config string) standIn {
	for path, text := range map[string]string{
		"/usr/libexec/cockpit-ws":                        "ws",
		"/usr/libexec/cockpit-tls":                       "tls",
		"/usr/libexec/cockpit-session":                   "session",
		"/usr/lib/systemd/system/cockpit.service":        "[Unit]\n",
		"/usr/lib/systemd/system/cockpit.socket":         "[Unit]\n",
		"/usr/lib/systemd/system/cockpit-session.socket": "[Unit]\n",
		"/usr/lib64/security/pam_ssh_add.so":             "ssh",
	} {
		files[path] = text
	}
	if version < "355" {
		files[stub] = "the stub of " + version
	}
	return standIn{name: "cockpit-ws", version: version, files: files, config: config}
}

var sssdDBus = standIn{name: "sssd-dbus", version: "2.11.1", files: map[string]string{
	"/usr/libexec/sssd/sssd_ifp":                                              "ifp",
	"/usr/lib/systemd/system/sssd-ifp.service":                                "[Unit]\n",
	"/usr/share/dbus-1/system-services/org.freedesktop.sssd.infopipe.service": "[D-BUS Service]\n",
	"/usr/share/dbus-1/system.d/org.freedesktop.sssd.infopipe.conf":           "<busconfig/>\n",
}}

// system is what the Debian root has and RPM does not know of: whatever the
// package needs, but for what is under test.
func system(t *testing.T) standIn {
	t.Helper()
	s := standIn{name: "system", version: "1"}
	seen := map[string]bool{}
	for _, b := range []build{plain, subfolder} {
		for line := range strings.Lines(output(t, command("", "rpm", "-qp", "--requires", binary(t, b)))) {
			line = strings.TrimSpace(line)
			switch name, _, _ := strings.Cut(line, " "); {
			case name == "cockpit-ws", name == "sssd-dbus", strings.HasPrefix(name, "rpmlib("), strings.HasPrefix(name, "("), seen[line]:
			default:
				seen[line] = true
				s.provides = append(s.provides, line)
			}
		}
	}
	return s
}

// make builds the package into the directory.
func (s standIn) make(t *testing.T, directory string) {
	t.Helper()
	var spec strings.Builder
	fmt.Fprintf(&spec, "Name: %s\nVersion: %s\nRelease: 1\nSummary: A stand-in\nLicense: None\nBuildArch: noarch\nAutoReqProv: no\n", s.name, s.version)
	for _, provides := range s.provides {
		fmt.Fprintf(&spec, "Provides: %s\n", provides)
	}
	spec.WriteString("%description\nA stand-in\n%files\n")
	tree := t.TempDir()
	for path, text := range s.files {
		full := filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if path == s.config {
			spec.WriteString("%config(noreplace) ")
		}
		fmt.Fprintln(&spec, path)
	}
	work := t.TempDir()
	file := filepath.Join(work, s.name+".spec")
	if err := os.WriteFile(file, []byte(spec.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, command("", "rpmbuild", "-bb", "--quiet", "--buildroot", tree, "--noclean",
		"--define", "_topdir "+work, "--define", "_rpmdir "+directory, "--define", "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.rpm",
		// Files of this noarch package are at an architecture's paths.
		"--define", "_binaries_in_noarch_packages_terminate_build 0",
		"--define", "__os_install_post %{nil}",
		file))
}
