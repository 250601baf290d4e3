// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// service makes a service whose only rule is the module: each login starts a worker,
// which finds no certificate and answers ignore, so that PAM denies the login.
func service(t *testing.T) (dir string) {
	t.Helper()
	namespace.Need(t)
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	setFault(t, "")
	dir = t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+module+"\n")
	return dir
}

// TestHostsOfEveryKind checks thousands of logins in hosts with threads, or that ignore
// or reap all children.
func TestHostsOfEveryKind(t *testing.T) {
	for name, arguments := range map[string][]string{
		"one thread":         {"-n", "2000"},
		"seven busy threads": {"-n", "200", "-b", "7"},
		"eight threads that log in, and seven more": {"-n", "25", "-j", "8", "-b", "7"},
		"a host that ignores SIGCHLD":               {"-n", "300", "-C", "ignore"},
		"a host whose handler reaps every child":    {"-n", "300", "-C", "reap"},
		"a host that is interrupted all the time":   {"-n", "300", "-i"},
	} {
		t.Run(name, func(t *testing.T) {
			report := pamhost.Host{Args: append([]string{"-d", service(t)}, arguments...)}.Run(t)
			if got := report.Get("result"); got != pamhost.PermDenied {
				t.Errorf("PAM result %s, want %s", got, pamhost.PermDenied)
			}
			if n := report.Get("different_count"); n != "0" {
				t.Errorf("%s logins ended otherwise", n)
			}
			if changes := report.Changes(); changes != "" {
				t.Errorf("the login process changed:\n%s", changes)
			}
			if left := workers(t); len(left) > 0 {
				t.Errorf("still running: %v", left)
			}
		})
	}
}

// TestHostsWithoutDescriptors checks hosts that have closed standard descriptors: the
// module cannot use these, and its own descriptors may get their numbers.
func TestHostsWithoutDescriptors(t *testing.T) {
	dir := service(t)
	for _, closed := range []string{"<&-", "2>&-", "<&- 2>&-"} {
		report := pamhost.Host{
			Program: "sh",
			Args:    []string{"-c", `exec "$0" "$@" ` + closed, pamhost.Built(t, "test/pamhost"), "-d", dir, "-n", "100"},
		}.Run(t)
		if got := report.Get("result"); got != pamhost.PermDenied {
			t.Errorf("%s: PAM result %s, want %s", closed, got, pamhost.PermDenied)
		}
		if n := report.Get("different_count"); n != "0" {
			t.Errorf("%s: %s logins ended otherwise", closed, n)
		}
		if changes := report.Changes(); changes != "" {
			t.Errorf("%s: the login process changed:\n%s", closed, changes)
		}
	}
}

// limited runs pamhost with a limit of ulimit.
func limited(t *testing.T, dir, limit string) pamhost.Report {
	t.Helper()
	report := pamhost.Host{
		Program: "sh",
		Args:    []string{"-c", "ulimit " + limit + ` && exec "$0" "$@"`, pamhost.Built(t, "test/pamhost"), "-d", dir},
	}.Run(t)
	if changes := report.Changes(); changes != "" {
		t.Errorf("ulimit %s: the login process changed:\n%s", limit, changes)
	}
	return report
}

func TestHostsWithTightLimits(t *testing.T) {
	dir := service(t)
	for _, limit := range []string{"-n 16", "-f 0", "-c 0", "-s 128", "-l 0"} {
		if got := limited(t, dir, limit).Get("result"); got != pamhost.PermDenied {
			t.Errorf("ulimit %s: PAM result %s, want %s", limit, got, pamhost.PermDenied)
		}
	}
}

// TestHostsOutOfDescriptors lowers the limit of descriptors until libpam cannot even
// load the module. With a few more, there is no pipe to the worker, or no file for it.
func TestHostsOutOfDescriptors(t *testing.T) {
	const notLoaded = "28" // PAM_MODULE_UNKNOWN
	dir := service(t)
	syslog := namespace.ListenSyslog(t)
	seen := map[string]bool{}
	for n := 16; !seen[notLoaded] && n > 3; n-- {
		seen[limited(t, dir, fmt.Sprint("-n ", n)).Get("result")] = true
	}
	want := map[string]bool{pamhost.PermDenied: true, pamhost.ServiceErr: true, notLoaded: true}
	if !maps.Equal(seen, want) {
		t.Errorf("PAM results %v, want %v", seen, want)
	}
	syslog.Wait(t, `pam_cockpit_cert\(cockpit:auth\): cannot .*: [Tt]oo many open files$`)
}

// TestMemoryIsGivenBack checks that the module gives memory back, because a login
// process lives as long as its session.
func TestMemoryIsGivenBack(t *testing.T) {
	report := pamhost.Host{Args: []string{"-d", service(t), "-k"}}.Run(t)
	if got := report.Get("head_kib"); got != "0" {
		t.Errorf("%q KiB of what only the loader reads are still there", got)
	}
}

func TestHostInGo(t *testing.T) {
	dir := service(t)
	out, err := exec.Command(pamhost.Built(t, "test/gohost"), dir, "4", "250").CombinedOutput()
	if got, want := strings.TrimSpace(string(out)), "Permission denied=1000"; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if left := workers(t); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
}

// TestSameProcessAfterEveryCall makes all of libpam's calls in one process.
func TestSameProcessAfterEveryCall(t *testing.T) {
	dir := service(t)
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	pamhost.Service(t, dir, "all", "auth required "+module+" debug\nauth sufficient pam_debug.so\n"+
		"account required pam_debug.so\nsession required pam_debug.so\n")
	report := pamhost.Host{Args: []string{"-d", dir, "-s", "all", "-o", "saosc"}}.Run(t)
	for _, call := range []string{"result", "s", "a", "o", "c"} {
		if got := report.Get(call); got != pamhost.Success {
			t.Errorf("%s: PAM result %s, want success", call, got)
		}
	}
	if changes := report.Changes(); changes != "" {
		t.Errorf("the login process changed:\n%s", changes)
	}
}

// TestSetcredIsLeftToTheOthers checks that after a login by password, libpam runs the
// setcred of the module that knows the password. For pam_setcred libpam runs the auth
// stack again, with the jumps of the results of pam_sm_authenticate.
func TestSetcredIsLeftToTheOthers(t *testing.T) {
	dir := service(t)
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	rule := "-auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] " + module + "\n"
	const credExpired = "16"
	for name, arguments := range map[string][]string{
		"with the user set":   {"-u", "root"},
		"with the user unset": {},
	} {
		t.Run(name, func(t *testing.T) {
			pamhost.Service(t, dir, "cockpit", rule+"auth required pam_debug.so auth=success cred=cred_expired\n")
			report := pamhost.Host{Args: append([]string{"-d", dir, "-o", "s"}, arguments...)}.Run(t)
			if got := report.Get("result"); got != pamhost.Success {
				t.Errorf("authenticate: PAM result %s, want success", got)
			}
			if got := report.Get("s"); got != credExpired {
				t.Errorf("setcred: PAM result %s, want the other module's, %s", got, credExpired)
			}
		})
	}
	t.Run("with pam_unix", func(t *testing.T) {
		namespace.Copy(t, "/etc")
		out, err := exec.Command("sh", "-ec", `useradd -M bob && echo bob:secret | chpasswd`).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		pamhost.Service(t, dir, "with", rule+"auth required pam_unix.so\n")
		pamhost.Service(t, dir, "without", "auth required pam_unix.so\n")
		for password, want := range map[string]string{"secret": pamhost.Success, "wrong": pamhost.AuthErr} {
			answers := map[string][2]string{}
			for _, stack := range []string{"with", "without"} {
				report := pamhost.Host{Args: []string{"-d", dir, "-s", stack, "-u", "bob", "-p", password, "-o", "s"}}.Run(t)
				answers[stack] = [2]string{report.Get("result"), report.Get("s")}
			}
			if answers["with"] != answers["without"] || answers["with"][0] != want {
				t.Errorf("password %s: authenticate, setcred: %v, want %s first", password, answers, want)
			}
		}
	})
}

// TestInertCalls checks calls that the gate answers without starting a worker.
func TestInertCalls(t *testing.T) {
	dir := service(t)
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	pamhost.Service(t, dir, "cockpit", "auth [default=die ignore=ignore] "+module+" debug\nauth sufficient pam_debug.so\n")
	for name, test := range map[string]struct {
		exported  bool
		arguments []string
		log       string
	}{
		"the user is set":              {true, []string{"-u", "bob"}, "the user name is already set: no certificate is used"},
		"Cockpit has exported nothing": {false, nil, "no /run/cockpit/tls: Cockpit has not exported any certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			setFault(t, "")
			if !test.exported {
				if err := os.RemoveAll("/run/cockpit"); err != nil {
					t.Fatal(err)
				}
			}
			syslog := namespace.ListenSyslog(t)
			report := pamhost.Host{Args: append([]string{"-d", dir}, test.arguments...)}.Run(t)
			if got := report.Get("result"); got != pamhost.Success {
				t.Errorf("PAM result %s, want %s", got, pamhost.Success)
			}
			syslog.Wait(t, `pam_cockpit_cert\(cockpit:auth\): `+test.log+"$")
			if lines := syslog.Lines(); len(lines) != 1 {
				t.Errorf("more is logged: %v", lines)
			}
		})
	}
}
