// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// TestTimeoutOption checks that the last option counts, and that without a valid number
// of seconds the gate waits 15 seconds for a worker that hangs.
func TestTimeoutOption(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	dir := t.TempDir()
	run := func(fault, options string) (seconds float64, syslog *namespace.Syslog) {
		t.Helper()
		setFault(t, fault)
		syslog = namespace.ListenSyslog(t)
		pamhost.Service(t, dir, "cockpit", "auth required "+faulty+" "+options+"\n")
		report := pamhost.Host{Args: []string{"-d", dir}}.Run(t)
		if got := report.Get("result"); got != pamhost.ServiceErr {
			t.Errorf("%s: PAM result %s, want %s", options, got, pamhost.ServiceErr)
		}
		ms, err := strconv.ParseFloat(report.Get("ms"), 64)
		if err != nil {
			t.Fatal(err)
		}
		return ms / 1000, syslog
	}
	for options, want := range map[string]float64{"timeout=3 timeout=1": 1, "timeout=0": 15} {
		seconds, syslog := run("hang", options)
		if seconds < want || seconds > want+5 {
			t.Errorf("%s: answered after %.3f s, want %.0f", options, seconds, want)
		}
		syslog.Wait(t, fmt.Sprintf("no answer within %.0f seconds", want))
	}
	for _, value := range []string{"0", "-1", "601", "18446744073709551617", "2s", "+2", "0x10", ""} {
		_, syslog := run("return silently", "timeout="+value)
		syslog.Wait(t, `^<83>.* pam_cockpit_cert\(cockpit:auth\): timeout=`+regexp.QuoteMeta(value)+
			" is not a number of seconds from 1 to 600: using 15; fix the rule in pam.d$")
	}
}

// TestOptionsThatAreUnknown checks that unknown options are logged, and change nothing.
func TestOptionsThatAreUnknown(t *testing.T) {
	namespace.Need(t)
	setFault(t, "")
	dir := t.TempDir()
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	for _, option := range []string{"Debug", "debug=1", "allow_unvalidated=yes", "timeout", "%s%n", "try_first_pass"} {
		syslog := namespace.ListenSyslog(t)
		pamhost.Service(t, dir, "cockpit", "auth required "+module+" "+option+"\n")
		report := pamhost.Host{Args: []string{"-d", dir}}.Run(t)
		if got := report.Get("result"); got != pamhost.PermDenied { // ignore, which alone denies
			t.Errorf("%s: PAM result %s, want %s", option, got, pamhost.PermDenied)
		}
		syslog.Wait(t, `^<83>.* pam_cockpit_cert\(cockpit:auth\): unknown option `+option+` ignored; see pam_cockpit_cert\(8\)$`)
		if lines := syslog.Lines(); len(lines) != 1 {
			t.Errorf("%s: more is logged: %v", option, lines)
		}
	}
}

// TestAcceptedWithoutACertificate checks that a rule with the option accepted or refused
// looks for no certificate, and does not log a user in who has none.
func TestAcceptedWithoutACertificate(t *testing.T) {
	namespace.Need(t)
	setFault(t, "")
	dir := t.TempDir()
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	for _, option := range []string{"accepted", "refused"} {
		for _, arguments := range [][]string{nil, {"-u", "root"}, {"-u", ""}} {
			syslog := namespace.ListenSyslog(t)
			pamhost.Service(t, dir, "cockpit", "auth required "+module+" "+option+"\n")
			report := pamhost.Host{Args: append([]string{"-d", dir, "-o", "s"}, arguments...)}.Run(t)
			if got := report.Get("result"); got != pamhost.PermDenied { // ignore, which alone denies
				t.Errorf("%s, %v: PAM result %s, want %s", option, arguments, got, pamhost.PermDenied)
			}
			if lines := append(syslog.Lines(), report.Get("said")); len(lines) > 1 || lines[0] != "" {
				t.Errorf("%s, %v: it says %q", option, arguments, lines)
			}
		}
	}
}
