// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// TestTheSameSourceMakesTheSamePackages builds twice; the second time the
// package's own tests run as well, which must not matter.
func TestTheSameSourceMakesTheSamePackages(t *testing.T) {
	one, other := packages(t, plain), packages(t, again)
	files, err := os.ReadDir(one)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 {
		t.Errorf("there are %d packages, want a source package, ours, its debugging information, and SELinux's: %v", len(files), files)
	}
	for _, file := range files {
		a, errA := os.ReadFile(filepath.Join(one, file.Name()))
		b, errB := os.ReadFile(filepath.Join(other, file.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds (%v, %v)", file.Name(), errA, errB)
		}
	}
}

// TestTheFolderDoesNotMatter: RPM's headers name it, what is installed does not.
func TestTheFolderDoesNotMatter(t *testing.T) {
	payload := func(b build) string {
		return output(t, command("", "rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEDIGESTS} %{FILEMTIMES}\n]%{PAYLOADDIGEST}\n", binary(t, b)))
	}
	if one, other := payload(plain), payload(elsewhere); one != other {
		t.Errorf("built in another directory, the package has\n%s\ninstead of\n%s", other, one)
	}
}

func TestRpmlintIsContent(t *testing.T) {
	for _, b := range []build{plain, subfolder} {
		files, err := filepath.Glob(filepath.Join(packages(t, b), "*.rpm"))
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"--config", "rpm/rpmlint.toml"}, files...)
		out := output(t, command(machine.Source(t), "rpmlint", args...))
		if !strings.Contains(out, " 0 errors, 0 warnings") {
			t.Errorf("of the build %s, rpmlint says:\n%s", b.name, out)
		}
	}
}

func TestThePackageHasWhatMakeInstallInstalls(t *testing.T) {
	for _, c := range []struct {
		build
		module string
	}{
		{plain, "/usr/lib64/security/pam_cockpit_cert.so"},
		{subfolder, "/usr/lib64/security/pam_cockpit_cert/pam_cockpit_cert.so"},
	} {
		version := output(t, command("", "rpm", "-qp", "--qf", "%{VERSION}", binary(t, c.build)))
		got := strings.Split(strings.TrimSpace(output(t, command("", "rpm", "-qp", "--qf",
			`[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\n]`, binary(t, c.build)))), "\n")
		for _, want := range []string{
			"-rwxr-xr-x root " + c.module,
			"-rwxr-xr-x root /usr/libexec/pam_cockpit_cert/cockpit-cert-session",
			"-rwxr-xr-x root /usr/libexec/pam_cockpit_cert/cockpit-cert-ticket",
			"-rw-r--r-- root /usr/lib/systemd/system/system-cockpithttps.slice.d/10-pam_cockpit_cert.conf",
			"-rwxr-xr-x root /usr/sbin/pam-cockpit-cert",
			"-rw-r--r-- root /usr/share/man/man8/pam_cockpit_cert.8",
			"-rw-r--r-- root /usr/share/man/man8/cockpit-cert-session.8",
			"-rw-r--r-- root /usr/share/man/man8/pam-cockpit-cert.8",
			"-rw-r--r-- root /usr/share/cockpit/certlogin/manifest.json",
			"-rw-r--r-- root /usr/share/pam_cockpit_cert/pam.d/rule",
			"-rw-r--r-- root /usr/share/pam_cockpit_cert/pam.d/cockpit.fedora",
			"-rw-r--r-- root /usr/share/pam_cockpit_cert/selinux/pam_cockpit_cert.te",
			"-rw-r--r-- root /usr/share/doc/pam_cockpit_cert-" + version + "/README.RPM",
			"-rw-r--r-- root /usr/share/licenses/pam_cockpit_cert-" + version + "/LICENSE",
			"-rw-r--r-- root /usr/share/bash-completion/completions/pam-cockpit-cert",
			"-rw-r--r-- root /usr/share/zsh/site-functions/_pam-cockpit-cert",
			"-rw-r--r-- root /usr/share/fish/vendor_completions.d/pam-cockpit-cert.fish",
		} {
			if !contains(got, want) {
				t.Errorf("the build %s lacks %q; it has\n%s", c.name, want, strings.Join(got, "\n"))
			}
		}
	}
}

func contains(lines []string, want string) bool {
	for _, line := range lines {
		// Manual pages may be compressed.
		if line == want || line == want+".gz" {
			return true
		}
	}
	return false
}

// TestNamesDiffer: packages that hold different things have different names, or
// dnf would install nothing and say that all is well.
func TestNamesDiffer(t *testing.T) {
	version := strings.TrimSpace(output(t, command(machine.Source(t), "tools/version")))
	nevras := map[string]string{}
	for _, b := range []build{plain, subfolder} {
		nevra := strings.TrimSpace(output(t, command("", "rpm", "-qp", binary(t, b))))
		if other, taken := nevras[nevra]; taken {
			t.Errorf("the builds %s and %s are both %s", b.name, other, nevra)
		}
		if !strings.HasPrefix(nevra, ours+"-"+version+"-") {
			t.Errorf("the build %s is %s, of the source %s", b.name, nevra, version)
		}
		nevras[nevra] = b.name
	}
}
