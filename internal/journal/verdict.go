// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package journal

import (
	"regexp"
	"strings"
)

// What the module's lines look like. Details such as the certificate's subject
// may be in the rest, or missing: releases of the module differ.
var (
	// moduleLine is as pam_syslog(3) writes it.
	moduleLine = regexp.MustCompile(`^pam_cockpit_cert\(([^:()]*):auth\): (.*)$`)
	// acceptedLine says whose the certificate is.
	acceptedLine = regexp.MustCompile(`^certificate ([0-9a-f]{64})\b.*? is user (.+?)'s(?:$|[ ,;:(])`)
	// namedLine begins with a certificate, and has the reason behind a colon.
	namedLine = regexp.MustCompile(`^certificate ([0-9a-f]{64})\b(?: \(.*?\))?.*?: (.*)$`)
	// fingerprintText is one anywhere.
	fingerprintText = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	// addressedLine ends with the browser's address, as PAM_RHOST has it.
	addressedLine = regexp.MustCompile(`^(.*); rhost=([^ ]+)$`)
	// settingLine complains about the rule, and says nothing about the login.
	settingLine = regexp.MustCompile(`^(?:unknown option |timeout=|ticket_for=|no Kerberos ticket|cannot set KRB5CCNAME)`)
)

// What others say of a login that the module accepted.
var (
	// openedLine is pam_unix's.
	openedLine = regexp.MustCompile(`^pam_unix\([^:()]*:session\): session opened for user `)
	// deniedLine is that of a module of the account or session stack.
	deniedLine = regexp.MustCompile(`^pam_[^(]+\([^:()]*:(?:account|session)\): .*(?i:denied|expired|not allowed|refused|failed|locked)`)
	// sessionLine is cockpit-session's own.
	sessionLine = regexp.MustCompile(`(?:user account access failed|couldn't open session|couldn't set up account|user is not permitted)`)
)

// verdict is what the module says of a login in this entry, if it does.
func verdict(entry Entry) (Login, bool) {
	parts := moduleLine.FindStringSubmatch(entry.Message)
	if parts == nil {
		return Login{}, false
	}
	login := Login{Time: entry.Time, Service: parts[1], boot: entry.boot, pid: entry.pid, unit: entry.unit}
	said := parts[2]
	if addressed := addressedLine.FindStringSubmatch(said); addressed != nil {
		said, login.From = addressed[1], addressed[2]
	}
	if accepted := acceptedLine.FindStringSubmatch(said); accepted != nil {
		login.State, login.Fingerprint, login.User = Unfinished, accepted[1], accepted[2]
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
		said = named[2]
	}
	login.Reason, login.Next, _ = strings.Cut(said, "; ")
	return login, true
}

// ofInstance is the fingerprint in the name of Cockpit's instance for it. Up
// to release 329, cockpit-session runs there.
func ofInstance(unit string) string {
	name, ok := strings.CutPrefix(unit, "cockpit-wsinstance-https@")
	if !ok {
		return ""
	}
	return fingerprintText.FindString(name)
}

// outcome is what this entry says of a login that the module accepted: that
// there is a session, or why there is none.
func outcome(entry Entry) (State, string) {
	switch {
	case openedLine.MatchString(entry.Message):
		return Accepted, ""
	case deniedLine.MatchString(entry.Message), sessionLine.MatchString(entry.Message):
		return Refused, entry.Message
	default:
		return "", ""
	}
}
