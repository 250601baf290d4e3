// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// setFault makes Cockpit's directory in /run, with the fault of a worker that
// misbehaves; see module/faulty.go.
func setFault(t *testing.T, fault string) {
	t.Helper()
	if err := os.MkdirAll("/run/cockpit/tls", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/run/cockpit/tls/fault", []byte(fault), 0o600); err != nil {
		t.Fatal(err)
	}
}

// says has the beginning of the message to the user for each result.
var says = map[string]string{
	pamhost.UserUnknown:     "The certificate does not belong to a user of this system. ",
	pamhost.AuthinfoUnavail: "This system cannot find out now whose certificate this is. ",
	pamhost.ServiceErr:      "This system failed to look up the certificate; ",
}

// TestWorkerMisbehaves checks that, whatever the worker does, the gate answers in time,
// logs the reason, and leaves the login process as it was.
func TestWorkerMisbehaves(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	const broke = "the worker broke, please report this: "

	for fault, test := range map[string]struct {
		result string
		log    string // the last line, a regular expression
		timely bool   // the answer comes before the deadline of three seconds
	}{
		"panic":                        {pamhost.ServiceErr, broke + "deliberate", true},
		"panic in a goroutine":         {pamhost.ServiceErr, broke + "panic: deliberate", true},
		"segmentation fault":           {pamhost.ServiceErr, broke + "SIGSEGV", true},
		"killed":                       {pamhost.ServiceErr, "ended without an answer, by signal 9", true},
		"hang":                         {pamhost.ServiceErr, "no answer within 3 seconds while looking for the certificate", false},
		"hang while asking":            {pamhost.AuthinfoUnavail, "certificate X: no answer within 3 seconds while asking SSSD", false},
		"ignore every signal and hang": {pamhost.ServiceErr, "no answer within 3 seconds", false},
		"exit silently":                {pamhost.ServiceErr, "ended without an answer, with exit status 0", true},
		"return silently":              {pamhost.ServiceErr, "ended without an answer, with exit status 0", true},
		"garbage":                      {pamhost.ServiceErr, broke + `\?ELF\?\?$`, true},
		"much garbage":                 {pamhost.ServiceErr, broke + "x{199}$", true},
		"half a record":                {pamhost.ServiceErr, broke + "pCC1", true},
		"endless log":                  {pamhost.ServiceErr, "could not be read", true},
		"wrong uid":                    {pamhost.ServiceErr, "REFUSED: SSSD's user 'root' has uid 4242, but .* has uid 0", true},
		"no such user":                 {pamhost.UserUnknown, "'nobody-has-this-name', whom this system does not know", true},
		"result out of range":          {pamhost.ServiceErr, broke, true},
		"success without a user":       {pamhost.ServiceErr, broke, true},
		"user with a newline":          {pamhost.ServiceErr, broke, true},
		"user without an end":          {pamhost.ServiceErr, broke, true},
		"text without an end":          {pamhost.ServiceErr, broke, true},
		"user beside a failure":        {pamhost.ServiceErr, broke, true},
		"verdict, then hang":           {pamhost.PermDenied, "", true},
	} {
		t.Run(fault, func(t *testing.T) {
			syslog := namespace.ListenSyslog(t)
			setFault(t, fault)
			dir := t.TempDir()
			pamhost.Service(t, dir, "cockpit", "auth required "+faulty+" timeout=3\n")

			report := pamhost.Host{Args: []string{"-d", dir}}.Run(t)
			if got := report.Get("result"); got != test.result {
				t.Errorf("PAM result %s, want %s", got, test.result)
			}
			if user := report.Get("user"); user != "" {
				t.Errorf("PAM_USER is %q, want it unset", user)
			}
			if said := report.Get("said"); !strings.HasPrefix(said, says[test.result]) || (said == "") != (says[test.result] == "") {
				t.Errorf("the user reads %q", said)
			}
			if changes := report.Changes(); changes != "" {
				t.Errorf("the login process changed:\n%s", changes)
			}
			ms, err := strconv.ParseFloat(report.Get("ms"), 64)
			if err != nil {
				t.Fatal(err)
			}
			if test.timely && ms >= 2900 || !test.timely && (ms < 2900 || ms > 8000) {
				t.Errorf("answered after %.0f ms", ms)
			}
			if test.log != "" {
				syslog.Wait(t, `^<\d+>.* pamhost\[\d+\]: pam_cockpit_cert\(cockpit:auth\): .*`+test.log)
			}
			for _, line := range syslog.Lines() {
				if strings.Contains(line, "not to be logged") {
					t.Errorf("a success was logged that was none: %s", line)
				}
			}
			if left := workers(t); len(left) > 0 {
				t.Errorf("still running: %v", left)
			}
		})
	}
}

// workers returns the processes that map the module, which must not outlive a call.
func workers(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("sh", "-c", "grep -ls pam_cockpit_cert.so /proc/[0-9]*/maps || :").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// TestWorkerGetsNothingOfTheHosts checks that the worker has neither the host's
// descriptors nor its environment.
func TestWorkerGetsNothingOfTheHosts(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	syslog := namespace.ListenSyslog(t)
	setFault(t, "descriptors and environment")
	dir := t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+faulty+"\n")
	secret, err := os.Open("/etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()

	pamhost.Host{
		Args: []string{"-d", dir},
		Env: []string{"GODEBUG=inittrace=1", "GOTRACEBACK=crash", "GOGC=1", "GOMEMLIMIT=1", "GOMAXPROCS=7",
			"DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/evil", "LD_BIND_NOW=1", "LD_TRACE=evil", "HOME=/tmp/evil"},
		Prepare: func(c *exec.Cmd) { c.ExtraFiles = []*os.File{secret} },
	}.Run(t)
	line := syslog.Wait(t, "descriptors .*; environment ")
	if !regexp.MustCompile(`environment GOMAXPROCS=1 GOGC=off GOMEMLIMIT=64MiB GOTRACEBACK=single$`).MatchString(line) {
		t.Errorf("the environment is not our own: %s", line)
	}
	if strings.Contains(line, "shadow") {
		t.Errorf("a descriptor of the host's: %s", line)
	}
}
