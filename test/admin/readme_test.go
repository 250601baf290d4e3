// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package admin

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// varying has the texts that differ between systems, or from day to day.
var varying = []struct{ from, to string }{
	{`\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?`, "DATE"},
	{`\b[0-9a-f]{64}\b`, "FINGERPRINT"},
	{`release \d{3}\b`, "release N"},
	{`/usr/lib/[^/ ]+/security`, "SECURITY"},
	{`control-groups: versions? .*?( ok |$)`, "control-groups: VERSIONS$1"},
	{` ok selinux: .*`, ""},
	{`skips pam_\w+\.so(, pam_\w+\.so)*`, "skips MODULES"},
}

// leveled makes texts comparable: it removes line breaks, and what varies.
func leveled(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, v := range varying {
		text = regexp.MustCompile(v.from).ReplaceAllString(text, v.to)
	}
	return text
}

// shown returns the output that README.md shows below a command.
func shown(t *testing.T, command string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "    $ "+command+"\n")
	if !found {
		t.Fatalf("README.md does not show %s", command)
	}
	block, _, _ := strings.Cut(after, "\n\n")
	return block
}

// README.md shows the real output on a Debian 12 or later, after the installation of
// the package and the configuration of SSSD.
func TestTheReadmeShowsWhatIsPrinted(t *testing.T) {
	namespace.Need(t)
	cockpit, err := exec.Command("dpkg-query", "-W", "-f=${Version}", "cockpit-ws").Output()
	directories, globErr := filepath.Glob("/usr/lib/*-linux-*/security")
	if err != nil || len(directories) != 1 || globErr != nil || string(cockpit) < "248" {
		t.Skip("needs Debian's cockpit-ws, 248 or later")
	}
	module, err := os.ReadFile(pamhost.Built(t, "pam_cockpit_cert.so"))
	if err != nil {
		t.Fatal(err)
	}
	namespace.Copy(t, directories[0])
	if err := os.WriteFile(filepath.Join(directories[0], "pam_cockpit_cert.so"), module, 0o644); err != nil {
		t.Fatal(err)
	}
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	if err := os.MkdirAll("/run/systemd/system", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll("/run/systemd/system") })
	if err := os.RemoveAll("/etc/cockpit/cockpit.conf"); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"remove", "install"} {
		if output, status := command(t, nil, 0, "pam", verb); status != 0 {
			t.Fatal(output)
		}
	}

	output, _ := command(t, nil, 0, "status")
	for line := range strings.Lines(output) {
		if len(line) > 81 {
			t.Errorf("longer than 80 columns: %s", line)
		}
	}
	if got, want := leveled(output), leveled(shown(t, "pam-cockpit-cert status")); got != want {
		t.Errorf("status prints\n%s\nand README.md shows\n%s", got, want)
	}
	mallory := pki.NewAuthority("Other CA").Issue("alice")
	output, _ = command(t, mallory.PEM(), 0, "check", "-")
	if got, want := leveled(output), leveled(shown(t, "pam-cockpit-cert check mallory.pem")); got != want {
		t.Errorf("check prints\n%s\nand README.md shows\n%s", got, want)
	}
}
