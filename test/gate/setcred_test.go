// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// TestOtherLoginsHaveTheirCredentials checks that a login by password or by Kerberos
// gets the same groups, capabilities and keyring with the rule as without it. Modules
// after the rule give groups and capabilities in pam_setcred.
func TestOtherLoginsHaveTheirCredentials(t *testing.T) {
	dir := service(t)
	for _, module := range []string{"pam_cap", "pam_group", "pam_keyinit"} {
		if found, _ := filepath.Glob("/usr/lib*/*/security/" + module + ".so"); len(found) == 0 {
			t.Skipf("%s.so is not installed", module)
		}
	}
	namespace.Copy(t, "/etc")
	if out, err := exec.Command("sh", "-ec", `useradd -M bob && echo bob:secret | chpasswd`).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for path, text := range map[string]string{
		"/etc/security/group.conf":      "*;*;bob;Al0000-2400;games\n",
		"/etc/security/capability.conf": "cap_net_raw bob\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const others = "auth required pam_unix.so\nauth optional pam_cap.so\nauth optional pam_group.so\nsession optional pam_keyinit.so force revoke\n"
	pamhost.Service(t, dir, "without", others)
	pamhost.Service(t, dir, "with", rule(t)+others)

	keyring := regexp.MustCompile(`(session keyring) \d+`)
	for login, arguments := range map[string][]string{"password": {"-p", "secret"}, "Kerberos": {"-g"}} {
		for calls, changed := range map[string]string{"s": "CapInh Groups", "sro": "CapInh Groups keyring", "rd": "CapInh Groups"} {
			changes := map[string]string{}
			for _, stack := range []string{"without", "with"} {
				report := pamhost.Host{Args: append([]string{"-d", dir, "-s", stack, "-u", "bob", "-o", calls}, arguments...)}.Run(t)
				for _, call := range append(strings.Split(calls, ""), "result") {
					if got := report.Get(call); got != pamhost.Success {
						t.Errorf("%s, %s the rule: %s is PAM result %s", login, stack, call, got)
					}
				}
				changes[stack] = keyring.ReplaceAllString(report.Changes(), "$1")
			}
			for _, word := range strings.Fields(changed) {
				if !strings.Contains(changes["without"], word) {
					t.Fatalf("%s: without the rule, %s does not change:\n%s", login, word, changes["without"])
				}
			}
			if changes["with"] != changes["without"] {
				t.Errorf("%s, calls %s: with the rule:\n%swithout it:\n%s", login, calls, changes["with"], changes["without"])
			}
		}
	}
}

// rule returns the rule that an installation has.
func rule(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../pam.d/rule")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), "pam_cockpit_cert.so", pamhost.Built(t, "pam_cockpit_cert.so"), 1)
}
