// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package journal

import (
	"regexp"
	"strings"

	"pam_cockpit_cert/internal/clientcert"
)

// The forms of the module's lines. Release 0.1.0 does not log the subject.
var (
	// moduleLine is as pam_syslog(3) writes it.
	moduleLine = regexp.MustCompile(`^pam_cockpit_cert\(([^:()]*):auth\): (.*)$`)
	// acceptedLine names the user who has the certificate.
	acceptedLine = regexp.MustCompile(`^certificate ([0-9a-f]{64}) is user (.+)'s` + subjectText + `$`)
	// namedLine begins with a certificate, and has the reason after a colon.
	namedLine = regexp.MustCompile(`^certificate ([0-9a-f]{64})` + subjectText + `: (.*)$`)
	// fingerprintText matches a fingerprint anywhere.
	fingerprintText = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	// addressedLine ends with the browser's address, as PAM_RHOST has it. A subject, which
	// may look like it, ends with a quote.
	addressedLine = regexp.MustCompile(`^(.*); rhost=([^ "]+)$`)
	// settingLine is about the rule or about tickets, and not about the login's result.
	settingLine = regexp.MustCompile(`^(?:unknown option |timeout=|ticket_for=|no Kerberos ticket|cannot set KRB5CCNAME)`)
)

// subjectText matches a subject, in which a backslash escapes quotes. Nothing else may
// end it: an attacker can make a certificate whose subject looks like the rest of a line.
const subjectText = `(?: \(subject "((?:[^"\\]|\\.)*)"\))?`

// The lines of other programs about a login that the module accepted.
var (
	// openedLine is pam_unix's.
	openedLine = regexp.MustCompile(`^pam_unix\([^:()]*:session\): session opened for user `)
	// deniedLine is that of a module of the account or session stack.
	deniedLine = regexp.MustCompile(`^pam_[^(]+\([^:()]*:(?:account|session)\): .*(?i:denied|expired|not allowed|refused|failed|locked)`)
	// refusalLine is the session command's, in which a refusal's code comes first.
	refusalLine = regexp.MustCompile(`^cockpit-cert-session: ([a-z-]+: .*?)(?: \(login from ([^ ()]+)\))?$`)
	// instanceUnit is the unit of Cockpit's instance for a certificate.
	instanceUnit = regexp.MustCompile("^" + clientcert.UnitPrefix + "([0-9a-f]{64})" + regexp.QuoteMeta(clientcert.UnitSuffix) + "$")
	// sessionUnit is the unit of a cockpit-session of Cockpit 330 and later, with the
	// number and the process of the connection (systemd.socket(5), Accept=).
	sessionUnit = regexp.MustCompile(`^cockpit-session@[0-9]+-([1-9][0-9]*)-[0-9]+\.service$`)
	// sessionLine is cockpit-session's own.
	sessionLine = regexp.MustCompile(`(?:user account access failed|couldn't open session|couldn't set up account|user is not permitted)`)
)

// verdict returns the module's verdict on a login, if the entry has one.
func verdict(entry Entry) (Login, bool) {
	parts := moduleLine.FindStringSubmatch(entry.Message)
	if parts == nil || !entry.ofSession() {
		return Login{}, false
	}
	login := Login{Time: entry.Time, Service: parts[1], boot: entry.boot, pid: entry.pid, unit: entry.unit}
	if parts := sessionUnit.FindStringSubmatch(entry.unit); parts != nil {
		login.command = parts[1]
	}
	said := parts[2]
	if addressed := addressedLine.FindStringSubmatch(said); addressed != nil {
		said, login.From = addressed[1], addressed[2]
	}
	if accepted := acceptedLine.FindStringSubmatch(said); accepted != nil {
		login.State, login.Fingerprint, login.User, login.Subject = Unfinished, accepted[1], accepted[2], accepted[3]
		return login, true
	}
	if entry.priority > warning || settingLine.MatchString(said) {
		return Login{}, false
	}
	login.State, login.Fingerprint = Refused, fingerprintText.FindString(said)
	if login.Fingerprint == "" {
		login.Fingerprint = ofInstance(entry.unit)
	}
	if named := namedLine.FindStringSubmatch(said); named != nil {
		login.Subject, said = named[2], named[3]
	}
	login.Reason, login.Next, _ = strings.Cut(said, "; ")
	return login, true
}

// ofSession tells whether the entry is of cockpit-session, or of a PAM module in it.
func (e Entry) ofSession() bool { return e.Identifier == "cockpit-session" && e.uid == "0" }

// ofInstance returns the fingerprint in the unit's name, if it is an instance of
// Cockpit. Up to release 329, cockpit-session runs in that unit.
func ofInstance(unit string) string {
	if parts := instanceUnit.FindStringSubmatch(unit); parts != nil {
		return parts[1]
	}
	return ""
}

// refusal returns what the session command told the user who was refused.
func refusal(entry Entry) (Login, bool) {
	parts, fingerprint := refusalLine.FindStringSubmatch(entry.Message), ofInstance(entry.unit)
	if parts == nil || fingerprint == "" || entry.ofSession() {
		return Login{}, false
	}
	return Login{Time: entry.Time, State: Refused, Reason: parts[1], From: parts[2], Fingerprint: fingerprint,
		boot: entry.boot, pid: entry.pid}, true
}

// outcome returns what the entry says about a login that the module accepted:
// that a session was opened, or why not.
func outcome(entry Entry) (State, string) {
	switch {
	case !entry.ofSession():
		return "", ""
	case openedLine.MatchString(entry.Message):
		return Accepted, ""
	case deniedLine.MatchString(entry.Message), sessionLine.MatchString(entry.Message):
		return Refused, entry.Message
	default:
		return "", ""
	}
}
