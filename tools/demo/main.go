// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command demo shows logins by certificate, with real PAM, D-Bus and SSSD and
// throw-away certificates. It runs in its own namespaces, so that nothing is left
// behind. `make demo` runs it, as root.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/infopipetest"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

func main() {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "demo: run it as root, for namespaces of its own: nothing of your system is changed")
		os.Exit(1)
	}
	os.Exit(namespace.Run(func() int {
		t := &terminal{}
		defer t.end()
		demonstrate(t)
		return 0
	}))
}

func demonstrate(t *terminal) {
	config := sssd.LocalUsers(t, "man/pam_cockpit_cert.8")
	rule, err := os.ReadFile("pam.d/rule")
	if err != nil {
		t.Fatal(err)
	}
	t.heading("A private machine: empty /run and /etc/sssd, the user alice, and a throw-away certificate authority.")
	ca := pki.NewAuthority("Lab CA")
	alice, mallory := ca.Issue("alice"), ca.Issue("mallory")
	machine := sssd.New(t, ca.PEM())
	machine.AddUser("alice", 61001)
	t.file("/etc/sssd/sssd.conf, as pam_cockpit_cert(8) shows it for local users", config)
	t.file("/etc/pam.d/cockpit begins with", string(rule))
	machine.Start(config)
	t.heading("D-Bus and SSSD are running. Somebody opens Cockpit:")

	logins := &logins{t: t, rule: string(rule), module: pamhost.Built(t, "pam_cockpit_cert.so")}
	logins.show("The browser has a certificate for CN=alice,O=Lab, which SSSD maps to alice", &alice)
	logins.show("The browser has a certificate for CN=mallory,O=Lab, which no user has", &mallory)
	expired := ca.Issue("alice", pki.Expired)
	logins.show("The browser has a certificate of alice's that expired yesterday", &expired)
	forged := pki.NewAuthority("Lab CA").Issue("alice")
	logins.show("The browser has a certificate for alice that another authority issued", &forged)
	logins.show("The browser has alice's certificate, but the user name bob is already set", &alice, "-u", "bob")
	logins.show("The browser has no certificate", nil)

	machine.StopSSSD()
	logins.show("SSSD is stopped", &alice)
	infopipetest.Serve(t, infopipe.SystemBus, nil)
	logins.show("In SSSD's place something answers that alice has uid 1000, which here she has not", &alice)

	t.heading("That was all. The namespaces and everything in them are gone; your system is as it was.")
}

// logins are made through PAM, as Cockpit makes them.
type logins struct {
	t            *terminal
	rule, module string
	count        int
}

var results = map[string]string{
	pamhost.Success:         "success",
	pamhost.UserUnknown:     "user_unknown",
	pamhost.PermDenied:      "ignore", // libpam's answer if every module ignores
	pamhost.AuthinfoUnavail: "unavail",
	pamhost.ServiceErr:      "service_err",
}

// show logs in twice: with a service that has only the module, which shows its
// result, and with the rule as installed before a method that fails, which shows
// whether PAM goes on to the next method.
func (l *logins) show(title string, certificate *pki.Certificate, arguments ...string) {
	l.count++
	l.t.heading(fmt.Sprintf("%d. %s.", l.count, title))
	dir := l.t.TempDir()
	host := pamhost.Host{}
	if certificate != nil {
		defer os.Remove(cockpittls.Export(l.t, cockpittls.From257, *certificate))
		host.Prepare = cockpittls.NewInstance(l.t, certificate.Fingerprint()).Enter
	}

	syslog := namespace.ListenSyslog(l.t)
	pamhost.Service(l.t, dir, "cockpit", "auth [success=done ignore=ignore default=die] "+l.module+" debug\n")
	host.Args = append([]string{"-d", dir}, arguments...)
	report := host.Run(l.t)
	result, known := results[report.Get("result")]
	if !known {
		result = "PAM result " + report.Get("result")
	}
	l.t.row("the module returns", result)
	if user := report.Get("user"); user != "" {
		l.t.row("PAM_USER is", user)
	}
	if said := report.Get("said"); said != "" {
		l.t.row("the user reads", said)
	}

	pamhost.Service(l.t, dir, "cockpit", strings.Replace(l.rule, "pam_cockpit_cert.so", l.module, 1)+"auth required pam_deny.so\n")
	switch host.Run(l.t).Get("result") {
	case pamhost.Success:
		l.t.row("Cockpit's service", "logs "+report.Get("user")+" in, and asks for no password")
	case pamhost.UserUnknown:
		l.t.row("Cockpit's service", "refuses the login, and offers no other method")
	default:
		l.t.row("Cockpit's service", "goes on to the next method, a password")
	}
	l.t.row("time", report.Get("ms")+" ms")
	for i, line := range logged(syslog.Lines()) {
		if i == 0 {
			l.t.row("syslog", line)
		} else {
			l.t.row("", line)
		}
	}
}

// logged returns what the module said the first time, without the time stamps.
func logged(lines []string) []string {
	var said []string
	seen := map[string]bool{}
	for _, line := range lines {
		text := regexp.MustCompile(`pam_cockpit_cert\(.*`).FindString(line)
		if text != "" && !seen[text] {
			seen[text] = true
			said = append(said, text)
		}
	}
	return said
}
