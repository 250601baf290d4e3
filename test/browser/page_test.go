// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package browser

import (
	"strings"
	"testing"
)

const (
	page      = address + "/certlogin"
	pageFrame = `iframe[name="cockpit1:localhost/certlogin"]`
	dialog    = `[class*="modal-box"]`
)

// The page "Certificate login", as an ordinary user sees it, and as an
// administrator does.
func (l *lab) page(t *testing.T) {
	b := l.person(t, "alice")
	b.open(page)
	b.frame(pageFrame)
	b.waitText("#limited", "what an ordinary user may see")
	b.waitText("#checks", "Cockpit: ")
	for _, section := range []string{"#logins-section", "#check-section", "#switches"} {
		if b.shown(section) {
			t.Errorf("an ordinary user sees %s", section)
		}
	}

	b.top()
	b.click("#super-user-indicator button")
	b.fill(dialog+` input[type="password"]`, password)
	b.click(dialog + ` button[class*="pf-m-primary"]`)
	b.waitText("#super-user-indicator", "Administrative access")
	b.frame(pageFrame)
	t.Run("state", func(t *testing.T) { l.state(t, b.of(t)) })
	t.Run("logins", func(t *testing.T) { l.logins(t, b.of(t)) })
	t.Run("check", func(t *testing.T) { l.check(t, b.of(t)) })
	t.Run("switch", func(t *testing.T) { l.turnOff(t, b.of(t)) })
	t.Run("dark and German", l.darkAndGerman)
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

func (l *lab) check(t *testing.T, b *browser) {
	b.fill("#paste", string(l.ca.Issue("carol").PEM()))
	b.click("#check")
	b.waitText("#report", "success (PAM_SUCCESS)")
	b.waitText("#report", "carol")
	b.run(`document.getElementById("paste").value = ""`, nil)
	b.fill("#paste", "nonsense")
	b.click("#check")
	b.waitText("#problem", "this is not a certificate")
}

// Nothing is turned off before it is said what that does.
func (l *lab) turnOff(t *testing.T, b *browser) {
	b.click("#disable")
	b.waitText("#confirm", "disconnected")
	b.click("#confirm-no")
	if b.shown("#confirm") {
		t.Error("after Cancel there is still a question")
	}
	l.Run(t, "grep", "ClientCertAuthentication", "/etc/cockpit/cockpit.conf")

	b.click("#disable")
	b.click("#confirm-yes")
	b.top()
	b.waitText("body", "Disconnected")

	b = l.person(t, "nobody here")
	b.open(address)
	b.waitShown(userField)
}

// The page follows Cockpit's own choice of language and style.
func (l *lab) darkAndGerman(t *testing.T) {
	b := l.person(t, "")
	b.open(address)
	b.run(`document.cookie = "CockpitLang=de; path=/; secure"
		localStorage.setItem("cockpit.lang", "de")
		localStorage.setItem("shell:style", "dark")`, nil)
	l.logIn(b, "carol")
	b.open(page)
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
