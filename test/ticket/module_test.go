// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package ticket

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/test/answer"
)

// gate is the module's C part, with a worker that maps every certificate to alice,
// and with a program for tickets.
type gate struct {
	dir, module, host string
}

func newGate(t testing.TB, program string) gate {
	t.Helper()
	return buildGate(t, program, "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all")
}

func buildGate(t testing.TB, program, flags string) gate {
	t.Helper()
	namespace.Need(t)
	dir := t.TempDir()
	g := gate{dir, dir + "/pam_gate.so", dir + "/pamhost"}
	answers := dir + "/tls/answers"
	write(t, dir+"/tls/certificate", "")
	write(t, answers, string(answer.New(answer.Verdict, 6, answer.Success, 61001, "alice", "welcome").Bytes()))
	script := `
		flags="$3 -Wall -Wextra -Werror"
		${CC:=gcc} $flags -shared -fPIC -I../gate/stub -I../../module -o "$1/pam_gate.so" \
			-DEXPORTED="\"$1/tls\"" -DANSWERS="\"$1/tls/answers\"" -DTICKET_PROGRAM="\"$2\"" ../gate/stub/worker.c ../../module/*.c -lpam
		$CC $flags -o "$1/pamhost" ../../internal/testutil/pamhost/host/pamhost.c -lpam`
	if out, err := exec.Command("sh", "-euc", script, "sh", dir, program, flags).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return g
}

// login logs alice in with these options of the rule, and makes these calls.
func (g gate) login(t testing.TB, options, calls string, arguments ...string) pamhost.Report {
	t.Helper()
	pamhost.Service(t, g.dir, "cockpit", "auth required "+g.module+" "+options+"\n")
	arguments = append([]string{"-d", g.dir, "-o", calls, "-e", "XDG_RUNTIME_DIR=/run/user/61001"}, arguments...)
	// A file that the host has open without close-on-exec.
	open, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	inherit := func(command *exec.Cmd) { command.ExtraFiles = []*os.File{open} }
	return pamhost.Host{Program: g.host, Args: arguments, Prepare: inherit}.Run(t)
}

// variable returns a variable of PAM's environment.
func variable(report pamhost.Report, name string) string {
	for _, line := range report["env"] {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// left returns the files in alice's runtime directory.
func left(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob("/run/user/61001/*")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(files, " ")
}

// TestLoginHasTicket checks that the session's environment names the user's tickets,
// and that they are removed with the session, or with PAM's handle.
func TestLoginHasTicket(t *testing.T) {
	startKDC(t)
	person(t, "alice", 61001, true)
	g := newGate(t, pamhost.Built(t, "cockpit-cert-ticket"))
	for calls, want := range map[string]bool{"sare": true, "sarfe": true, "sarde": true, "sae": false} {
		report := g.login(t, "", calls)
		for _, call := range calls {
			if got := report.Get(string(call)); got != pamhost.Success && call != 'a' {
				t.Errorf("%s: %c answers %s", calls, call, got)
			}
		}
		name := variable(report, "KRB5CCNAME")
		if !want != (name == "") || want && !strings.HasPrefix(name, "FILE:/run/user/61001/cockpit-session-") {
			t.Errorf("%s: KRB5CCNAME is %q", calls, name)
		}
		if changes := report.Changes(); changes != "" {
			t.Errorf("%s: the login process changed:\n%s", calls, changes)
		}
		if files := left(t); files != "" {
			t.Errorf("%s: the end leaves %s", calls, files)
		}
	}
	for _, options := range []string{"no_ticket", "ticket_for=host@other.lab.test no_ticket"} {
		if name := variable(g.login(t, options, "sre"), "KRB5CCNAME"); name != "" {
			t.Errorf("%s: KRB5CCNAME is %q", options, name)
		}
	}
}

// TestTicketIsThereDuringTheSession checks that the tickets stay during the session,
// also when a child of the host ends its copy of PAM's handle.
func TestTicketIsThereDuringTheSession(t *testing.T) {
	startKDC(t)
	person(t, "alice", 61001, true)
	dir := t.TempDir()
	// The file exists until the program is called to remove it.
	write(t, dir+"/look", "#!/bin/sh\nif [ \"$1\" = -r ]; then cp \"/run/user/$2/$3\" "+dir+"/seen; fi\nexec "+
		pamhost.Built(t, "cockpit-cert-ticket")+" \"$@\"\n")
	if err := os.Chmod(dir+"/look", 0o755); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, dir+"/look")
	g.login(t, "", "srf")
	if got := listed(t, dir+"/seen"); got != "alice@LAB.TEST for host/host1.lab.test@LAB.TEST" {
		t.Errorf("at the end of the session the cache has %s", got)
	}
}

// TestNoRuntimeDirectory checks that without the directory that pam_systemd makes
// there is no ticket, not even in another directory that the environment names.
func TestNoRuntimeDirectory(t *testing.T) {
	namespace.Need(t)
	dir := t.TempDir()
	write(t, dir+"/tell", "#!/bin/sh\necho \"$@\" >"+dir+"/told\necho written\n")
	if err := os.Chmod(dir+"/tell", 0o755); err != nil {
		t.Fatal(err)
	}
	namespace.Copy(t, "/etc")
	person(t, "alice", 61001, false)
	g := newGate(t, dir+"/tell")
	for _, value := range []string{"XDG_RUNTIME_DIR=/run/user/0", "XDG_RUNTIME_DIR=/run/user/61001/", "XDG_RUNTIME_DIR=", "XDG_RUNTIME_DIR=/tmp", "OTHER=1"} {
		report := g.login(t, "", "sre", "-e", value)
		if name := variable(report, "KRB5CCNAME"); name != "" {
			t.Errorf("%s: KRB5CCNAME is %q", value, name)
		}
		if told, err := os.ReadFile(dir + "/told"); err == nil {
			t.Errorf("%s: the program was run: %s", value, told)
		}
	}
}

// TestProgramInTrouble checks that, however the program fails, the login goes on
// within 3 seconds, and one line tells why there is no ticket.
func TestProgramInTrouble(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	person(t, "alice", 61001, false)
	dir := t.TempDir()
	g := newGate(t, dir+"/program")
	const slow = "no Kerberos ticket within 3 seconds: can this host reach a domain controller\\?"
	for name, test := range map[string]struct {
		script, log string
		variable    bool
	}{
		"it hangs":               {"while :; do sleep 100; done", slow, false},
		"it hangs, and is deaf":  {"trap '' ALRM TERM HUP PIPE; while :; do sleep 100; done", slow, false},
		"it leaves another":      {"sleep 100 & exit 0", slow, false},
		"it floods":              {"while :; do echo 4 text; done", "text", false},
		"it ends":                {"exit 1", "", false},
		"it is killed":           {"kill -9 $$", "", false},
		"it says rubbish":        {"echo rubbish", "cockpit-cert-ticket broke, please report this: rubbish", false},
		"it says a format":       {"echo 4 %s%n%1000000d", "%s%n%1000000d", false},
		"it says what it may":    {"echo 4 why; echo 7 debug", "why", false},
		"it succeeds with words": {"echo 4 why; echo written", "why", true},
		"it succeeds":            {"echo written", "", true},
		"the environment":        {"[ -z \"$KRB5_CONFIG$HOME$LD_PRELOAD\" ] || echo 4 environment; echo written", "", true},
		"the arguments":          {"[ \"$1 $2 $3\" = '-- alice 61001' ] || echo 4 arguments; echo written", "", true},
		"the signals":            {"[ \"$(grep -E '^Sig(Blk|Ign):' /proc/self/status | tr -d '[:alpha:]:\\t\\n0')\" = '' ] || echo 4 signals; echo written", "", true},
		"the descriptors":        {"[ \"$(readlink /proc/$$/fd/3)\" != /etc/passwd ] || echo 4 descriptors; echo written", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, dir+"/program", "#!/bin/sh\n[ \"$1\" != -r ] || exit 0\n"+test.script+"\n")
			if err := os.Chmod(dir+"/program", 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("KRB5_CONFIG", "/tmp/evil")
			syslog := namespace.ListenSyslog(t)
			start := time.Now()
			report := g.login(t, "", "sre", "-C", "ignore")
			// Sanitizers and a busy machine are slow; without a limit it would take 100 seconds.
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if got := report.Get("r"); got != pamhost.Success {
				t.Errorf("setcred answers %s", got)
			}
			if got := variable(report, "KRB5CCNAME") != ""; got != test.variable {
				t.Errorf("KRB5CCNAME is set: %v", got)
			}
			if test.log != "" {
				syslog.Wait(t, test.log)
			} else if lines := syslog.Lines(); len(lines) > 1 {
				t.Errorf("more is logged than the login: %v", lines)
			}
			if changes := report.Changes(); changes != "" {
				t.Errorf("the login process changed:\n%s", changes)
			}
		})
	}
}

// TestServiceOfAnUnreachableDomain checks that the user has the ticket for this host
// within 3 seconds, if a service's name cannot be resolved in that time.
func TestServiceOfAnUnreachableDomain(t *testing.T) {
	k := startKDC(t)
	person(t, "alice", 61001, true)
	// A name server that never answers.
	const server = "127.9.9.9"
	deaf, err := net.ListenPacket("udp", server+":53")
	if err != nil {
		t.Skipf("cannot be a name server: %v", err)
	}
	defer deaf.Close()
	write(t, "/etc/resolv.conf", "nameserver "+server+"\n")
	write(t, "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
	prepend(t, "/etc/krb5.conf", "[libdefaults]\ndns_canonicalize_hostname = true\n")
	dir := t.TempDir()
	write(t, dir+"/look", "#!/bin/sh\nif [ \"$1\" = -r ]; then cp \"/run/user/$2/$3\" "+dir+"/seen; fi\nexec "+
		pamhost.Built(t, "cockpit-cert-ticket")+" \"$@\"\n")
	if err := os.Chmod(dir+"/look", 0o755); err != nil {
		t.Fatal(err)
	}
	syslog := namespace.ListenSyslog(t)
	report := newGate(t, dir+"/look").login(t, "ticket_for=host@far.example.org", "sre")
	syslog.Wait(t, "no Kerberos ticket for every service of ticket_for within 3 seconds: ")
	if variable(report, "KRB5CCNAME") == "" {
		t.Errorf("KRB5CCNAME is not set: %v", syslog.Lines())
	}
	if got := listed(t, dir+"/seen"); got != "alice@LAB.TEST for host/host1.lab.test@LAB.TEST" {
		t.Errorf("at the end of the session the cache has %s", got)
	}
	k.stop()
}

// TestRemovalTakesTooLong checks that a session ends in time if the user's runtime
// directory does not answer, and that the log says so.
func TestRemovalTakesTooLong(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	person(t, "alice", 61001, false)
	dir := t.TempDir()
	write(t, dir+"/program", "#!/bin/sh\n[ \"$1\" != -r ] || sleep 100\necho written\n")
	if err := os.Chmod(dir+"/program", 0o755); err != nil {
		t.Fatal(err)
	}
	syslog := namespace.ListenSyslog(t)
	report := newGate(t, dir+"/program").login(t, "", "srd")
	if got := report.Get("d"); got != pamhost.Success {
		t.Errorf("setcred answers %s", got)
	}
	syslog.Wait(t, `Kerberos tickets: cannot remove cockpit-session-\d+.ccache within 3 seconds; see findmnt -T /run/user/61001$`)
	for _, line := range syslog.Lines() {
		if strings.Contains(line, "no Kerberos ticket") {
			t.Errorf("the end of a session logs %s", line)
		}
	}
}

// TestOptionTicketFor checks which services the program is asked for, and that what is
// wrong with the others is logged once in a login.
func TestOptionTicketFor(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	person(t, "alice", 61001, false)
	dir := t.TempDir()
	write(t, dir+"/program", "#!/bin/sh\n[ \"$1\" = -r ] || echo \"$*\" >"+dir+"/asked\necho written\n")
	if err := os.Chmod(dir+"/program", 0o755); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, dir+"/program")
	var many, most string
	for i := range 16 {
		most += fmt.Sprintf("-t host@h%d ", i)
		many += fmt.Sprintf(" ticket_for=host@h%d", i)
	}
	const form = " is not like host@other.example.com: ignored; correct the rule in pam.d"
	for options, test := range map[string]struct{ asked, log string }{
		"ticket_for=host@a.b ticket_for=HTTP@c":   {"-t host@a.b -t HTTP@c ", ""},
		"ticket_for=host@a.b ticket_for=host@A.B": {"-t host@a.b ", ""},
		many + many:                  {most, ""},
		"ticket_for=host":            {"", "ticket_for=host" + form},
		"ticket_for=":                {"", "ticket_for=" + form},
		"ticket_for=@a":              {"", "ticket_for=@a" + form},
		"ticket_for=host@a@LAB.TEST": {"", "ticket_for=host@a@LAB.TEST" + form},
		"ticket_for=host/a":          {"", "ticket_for=host/a" + form},
		"[ticket_for=host@a b]":      {"", "ticket_for=host@a b" + form},
		"ticket_for=-r@a":            {"", "ticket_for=-r@a" + form},
		"ticket_for=krbtgt@LAB.TEST": {"", "ticket_for=krbtgt@LAB.TEST ignored: users get no ticket-granting tickets; correct the rule in pam.d"},
		"ticket_for=KrbTgt@LAB.TEST ticket_for=host@a":   {"-t host@a ", "ticket_for=KrbTgt@LAB.TEST ignored: users get no ticket-granting tickets; correct the rule in pam.d"},
		many + " ticket_for=host@one ticket_for=host@h3": {most, "ticket_for=host@one ignored: no more than 16 are possible; correct the rule in pam.d"},
		"unknown": {"", "unknown option unknown ignored; see pam_cockpit_cert(8)"},
	} {
		t.Run(options, func(t *testing.T) {
			syslog := namespace.ListenSyslog(t)
			g.login(t, options, "sre")
			asked, err := os.ReadFile(dir + "/asked")
			if want := test.asked + "-- alice 61001 cockpit-session-"; err != nil || !strings.HasPrefix(string(asked), want) {
				t.Errorf("the program is called with %s, %v; want %s", asked, err, want)
			}
			syslog.Wait(t, "welcome")
			var wrong []string
			for _, line := range syslog.Lines() {
				if _, text, found := strings.Cut(line, "pam_gate(cockpit:"); found && !strings.HasSuffix(text, "welcome") {
					_, text, _ = strings.Cut(text, "): ")
					wrong = append(wrong, text)
				}
			}
			if got := strings.Join(wrong, "\n"); got != test.log {
				t.Errorf("the log has\n%s\nwant\n%s", got, test.log)
			}
		})
	}
}

// TestPasswordLoginIsOthers checks that after a login by name, setcred is left to the
// other modules.
func TestPasswordLoginIsOthers(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	person(t, "alice", 61001, false)
	g := newGate(t, "/bin/false")
	pamhost.Service(t, g.dir, "cockpit", fmt.Sprintf("auth [success=done default=ignore] %s\nauth required pam_debug.so cred=cred_expired\n", g.module))
	for calls, want := range map[string]string{"s": "16", "r": "16", "d": "16"} {
		report := pamhost.Host{Program: g.host, Args: []string{"-d", g.dir, "-u", "alice", "-o", calls}}.Run(t)
		if got := report.Get(calls); got != want {
			t.Errorf("%s answers %s, not what the module behind ours does, %s", calls, got, want)
		}
	}
}
