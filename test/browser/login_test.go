// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package browser

import "testing"

// The login page's parts, in every release.
const (
	userField     = "#login-user-input"
	passwordField = "#login-password-input"
)

// The terminal, a page of Cockpit's own.
const (
	terminalPage  = address + "/system/terminal"
	terminalFrame = `iframe[name="cockpit1:localhost/system/terminal"]`
)

// A person whose certificate SSSD maps gets to the overview without a question.
func (l *lab) session(t *testing.T) {
	b := l.person(t, "alice")
	b.getsIn()
	b.screenshot(l.picture("overview"))

	b.arrive(terminalPage, func() error { _, err := b.find(terminalFrame); return err })
	b.frame(terminalFrame)
	b.click(".terminal")
	b.asksWho("ALICE")
	b.screenshot(l.picture("terminal"))

	b.top()
	b.click("#toggle-menu")
	b.click("#logout")
	b.waitShown(userField)
}

// getsIn opens Cockpit and is in, without a question.
func (b *browser) getsIn() {
	b.t.Helper()
	b.arrive(address, func() error { return b.titled("Overview") })
}

// asksWho asks in the terminal whose session it is. In capitals it is the answer,
// and not what was typed.
func (b *browser) asksWho(answer string) {
	b.t.Helper()
	b.keys("id -un | tr a-z A-Z" + enter)
	b.waitContent(".terminal", answer)
}

// A person who has no certificate gets the form, and a password works.
func (l *lab) form(t *testing.T) {
	b := l.person(t, "")
	b.open(address)
	l.logIn(b, "carol")
	b.waitTitle("Overview")
}

// logIn fills in the form.
func (l *lab) logIn(b *browser, user string) {
	b.t.Helper()
	b.fill(userField, user)
	b.fill(passwordField, password)
	b.click("#login-button")
	b.waitTitle(" - " + user)
}

// A person who is not let in reads why, and is not asked for a password that
// Cockpit would ignore.
func (l *lab) refused(t *testing.T) {
	reads := func(t *testing.T, who, picture string, why ...string) {
		t.Helper()
		b := l.person(t, who)
		b.open(address)
		for _, sentence := range why {
			b.waitText("body", sentence)
		}
		if b.shown(userField) || b.shown(passwordField) {
			t.Errorf("beside %q there is a form for a password", why)
		}
		b.screenshot(l.picture(picture))
	}
	const advice = "To log in with a password, use a browser profile without the certificate."

	t.Run("a certificate of nobody", func(t *testing.T) {
		reads(t, "nobody here", "refused", "The certificate does not belong to a user of this system. ", advice)
	})
	t.Run("SSSD cannot be asked", func(t *testing.T) {
		l.Run(t, "systemctl", "mask", "--now", "--quiet", "sssd.service")
		t.Cleanup(func() {
			l.Sh(t, "systemctl unmask --quiet sssd.service && systemctl start sssd.service")
		})
		reads(t, "alice", "outage", "This system cannot find out now whose certificate this is. Try again later. ", advice)
	})
	t.Run("nologin", func(t *testing.T) {
		const notice = "Closed for repairs until noon."
		l.Write(t, "/etc/nologin", 0o644, []byte(notice+"\n"))
		t.Cleanup(func() { l.Run(t, "rm", "/etc/nologin") })
		reads(t, "alice", "nologin", notice, advice)
	})
	t.Run("let in again", func(t *testing.T) {
		l.person(t, "alice").getsIn()
	})
}
