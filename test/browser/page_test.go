// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package browser

import (
	"strings"
	"testing"
	"time"
)

const (
	page      = address + "/certlogin"
	pageFrame = `iframe[name="cockpit1:localhost/certlogin"]`
	dialog    = `[class*="modal-box"]`
)

// The page "Certificate login", as an ordinary user sees it, and as an
// administrator does.
func (l *lab) page(t *testing.T) {
	if l.card { // the page's own part is the same everywhere
		t.Run("a slow state", l.slowState)
		t.Run("no answer", l.noAnswer)
	}
	b := l.person(t, "alice")
	b.openPage()
	b.frame(pageFrame)
	b.waitText("#limited", "what an ordinary user may see")
	b.waitText("#checks", "Cockpit: ")
	for _, section := range []string{"#logins-section", "#check-section", "#switches"} {
		if b.shown(section) {
			t.Errorf("an ordinary user sees %s", section)
		}
	}

	b.becomeAdministrator()
	b.frame(pageFrame)
	t.Run("state", func(t *testing.T) { l.state(t, b.of(t)) })
	t.Run("logins", func(t *testing.T) { l.logins(t, b.of(t)) })
	t.Run("check", func(t *testing.T) { l.check(t, b.of(t)) })
	t.Run("turned off", func(t *testing.T) { l.turnOff(t, b.of(t)) })
	t.Run("dark and German", l.darkAndGerman)
	t.Run("turned on", l.turnOn)
}

// slowState: while the command is still at work, the page says so; and an answer for an
// ordinary user that comes late does not replace the administrator's.
func (l *lab) slowState(t *testing.T) {
	l.replaceCommand(t, `[ "$(id -u)" = 0 ] || until [ -e /run/go-on ]; do sleep 0.1; done
		exec /usr/sbin/pam-cockpit-cert.real "$@"`)
	t.Cleanup(func() { l.Sh(t, `touch /run/go-on`) })
	b := l.person(t, "alice")
	b.openPage()
	b.frame(pageFrame)
	b.waitText("#summary", "Checking")
	b.becomeAdministrator()
	b.frame(pageFrame)
	b.waitText("#checks", "PAM rule: ")
	l.Sh(t, `touch /run/go-on; while pgrep -u alice -f /usr/sbin/pam-cockpit-cert; do sleep 0.1; done`)
	time.Sleep(2 * time.Second) // the way to the page
	if state := b.text("#checks"); strings.Contains(state, "try again as root") {
		t.Errorf("an administrator sees what an ordinary user does:\n%s", state)
	}
}

// noAnswer: a command that is killed, or is something else, is not shown as its error.
func (l *lab) noAnswer(t *testing.T) {
	for _, script := range []string{`kill -KILL $$`, `echo nonsense`} {
		t.Run(script, func(t *testing.T) {
			l.replaceCommand(t, script)
			b := l.person(t, "alice")
			b.openPage()
			b.frame(pageFrame)
			b.waitText("#problem", "pam-cockpit-cert ended without an answer")
		})
	}
}

// replaceCommand has a shell's script in place of pam-cockpit-cert, until the test ends.
func (l *lab) replaceCommand(t *testing.T, script string) {
	t.Helper()
	l.Run(t, "mv", "/usr/sbin/pam-cockpit-cert", "/usr/sbin/pam-cockpit-cert.real")
	t.Cleanup(func() { l.Run(t, "mv", "/usr/sbin/pam-cockpit-cert.real", "/usr/sbin/pam-cockpit-cert") })
	l.Write(t, "/usr/sbin/pam-cockpit-cert", 0o755, []byte("#!/bin/sh\n"+script+"\n"))
}

// openPage goes to the page, and stays outside its frame.
func (b *browser) openPage() {
	b.t.Helper()
	b.arrive(page, func() error { _, err := b.find(pageFrame); return err })
}

// becomeAdministrator turns on administrative access, and leaves all frames.
func (b *browser) becomeAdministrator() {
	b.t.Helper()
	b.top()
	b.click("#super-user-indicator button")
	b.fill(dialog+` input[type="password"]`, password)
	b.click(dialog + ` button[class*="pf-m-primary"]`)
	b.waitText("#super-user-indicator", "Administrative access")
}

// screenshot keeps a picture of all of Cockpit, and goes back into the page.
func (l *lab) screenshot(b *browser, name string) {
	b.t.Helper()
	b.top()
	b.away()
	b.screenshot(l.picture(name))
	b.frame(pageFrame)
}

// The page says of each check what the command says.
func (l *lab) state(t *testing.T, b *browser) {
	b.waitShown("#switches")
	if text := b.text("#limited"); text != "" {
		t.Errorf("an administrator is told %q", text)
	}
	summaries := l.Sh(t, `pam-cockpit-cert status --json | sed -n 's/^ *"summary": "\(.*\)",\{0,1\}$/\1/p'`)
	if summaries == "" {
		t.Fatal("status has no check")
	}
	for summary := range strings.Lines(strings.ReplaceAll(summaries, `\"`, `"`)) {
		b.waitText("#checks", strings.TrimSuffix(summary, "\n"))
	}
}

// Those who came in are in the list, and those who did not, with the reason.
func (l *lab) logins(t *testing.T, b *browser) {
	b.waitText("#logins", "SSSD knows no user by this certificate")
	if rows := b.text("#logins tbody"); !strings.Contains(rows, "alice") || !strings.Contains(rows, "accepted") {
		t.Errorf("alice's own login is not in the list: %s", rows)
	}
	l.screenshot(b, "page")
	b.run(`document.getElementById("logins-section").scrollIntoView()`, nil)
	l.screenshot(b, "logins")
}

// A certificate is pasted, or comes from a file on the person's computer.
func (l *lab) check(t *testing.T, b *browser) {
	isOf := func(user string) {
		t.Helper()
		b.click("#check")
		b.waitText("#report", "CN="+user+",O=Lab")
		b.waitText("#report", "success (PAM_SUCCESS)")
		if text := b.text("#problem"); text != "" {
			t.Errorf("beside the report there is a problem: %q", text)
		}
	}
	b.fill("#paste", string(l.ca.Issue("carol").PEM()))
	isOf("carol")
	b.run(`document.getElementById("paste").value = ""`, nil)
	b.fill("#paste", "nonsense")
	b.click("#check")
	b.waitText("#problem", "this is not a certificate")

	const file = "/home/alice.der"
	l.desk.Write(t, file, 0o644, l.ca.Issue("alice").DER)
	b.fill("#file", file)
	isOf("alice")
	b.fill("#paste", string(l.ca.Issue("carol").PEM())+string(l.ca.PEM()))
	isOf("carol")
	b.waitText("#report", "2 certificates: this is about the first")
}

// Nothing is turned off before it is said what that does. No mouse is needed.
func (l *lab) turnOff(t *testing.T, b *browser) {
	b.tabTo("#disable")
	b.keys(enter)
	b.waitText("#confirm", "disconnected")
	b.tabTo("#confirm-no")
	b.keys(enter)
	if b.shown("#confirm") {
		t.Error("after Cancel there is still a question")
	}
	l.Run(t, "grep", "ClientCertAuthentication", "/etc/cockpit/cockpit.conf")

	// Where it was before the question.
	b.keys(enter)
	b.waitText("#confirm", "disconnected")
	b.tabTo("#confirm-yes")
	b.keys(enter)
	b.top()
	b.waitText("body", "Disconnected")

	b = l.person(t, "nobody here")
	b.open(address)
	b.waitShown(userField)
}

// tabTo moves the focus with the keyboard, from where it is to this element.
func (b *browser) tabTo(selector string) {
	b.t.Helper()
	// Cockpit's own menus come before the page.
	for range 200 {
		b.keys(tab)
		var there bool
		b.run(`return document.hasFocus() && document.activeElement.matches("`+selector+`")`, &there)
		if there {
			return
		}
	}
	b.t.Fatalf("the key Tab does not lead to %s", selector)
}

// turnOn is for those who have only a password, while certificates are off.
func (l *lab) turnOn(t *testing.T) {
	b := l.person(t, "")
	b.open(address)
	l.logIn(b, "alice")
	b.openPage()
	b.becomeAdministrator()
	b.frame(pageFrame)
	b.waitShown("#logins")
	b.waitShown("#refresh:enabled") // nothing more comes above the switches
	b.click("#enable")
	b.waitText("#confirm", "disconnected")
	b.click("#confirm-yes")
	b.top()
	b.waitText("body", "Disconnected")

	l.person(t, "alice").getsIn()
}

// The page follows Cockpit's own choice of language and style.
func (l *lab) darkAndGerman(t *testing.T) {
	b := l.person(t, "")
	b.open(address)
	b.run(`document.cookie = "CockpitLang=de; path=/; secure"
		localStorage.setItem("cockpit.lang", "de")
		localStorage.setItem("shell:style", "dark")`, nil)
	l.logIn(b, "carol")
	b.openPage()
	b.frame(pageFrame)
	b.waitText("h1", "Anmeldung mit Zertifikat")
	b.waitText("#checks", "defekt")
	var background string
	b.run(`return getComputedStyle(document.body).backgroundColor`, &background)
	if background != "rgb(21, 21, 21)" {
		t.Errorf("the dark page is %s", background)
	}
	l.screenshot(b, "page dark")
}
