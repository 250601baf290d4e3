// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package journal

import (
	"context"
	"slices"
	"time"
)

// State is the outcome of a login.
type State string

// The states.
const (
	Accepted   State = "accepted"   // a session was opened
	Refused    State = "refused"    // by this module, or by another PAM module
	Unfinished State = "unfinished" // the certificate was accepted, but the journal shows no session
)

// Login is an attempt to log in with a certificate.
type Login struct {
	Time        time.Time `json:"time"`
	State       State     `json:"state"`
	User        string    `json:"user,omitempty"`
	From        string    `json:"from,omitempty"` // the browser's address
	Fingerprint string    `json:"fingerprint,omitempty"`
	Subject     string    `json:"subject,omitempty"` // of the certificate, like sssctl cert-show
	Service     string    `json:"service"`
	Reason      string    `json:"reason,omitempty"`
	Next        string    `json:"next,omitempty"` // what to do about it

	boot, pid, unit string
}

// session is the process whose lines belong to one login.
type session struct{ boot, pid string }

// sessions matches the lines of cockpit-session and the PAM modules in it. Only
// root's lines count, because every user may write to the journal and could
// forge a login.
var sessions = []string{"SYSLOG_IDENTIFIER=cockpit-session", "_UID=0"}

// apart is how far apart two verdicts with the same PID may be and still belong to
// one login, whose service has the rule twice. Later, another process has the PID.
const apart = time.Minute

// Logins returns the latest logins that match, at most count, the newest last.
func (j Journal) Logins(ctx context.Context, count int, match func(Login) bool) ([]Login, error) {
	var found []Login
	// The journal is read backwards: the outcome of a login comes before its verdict.
	latest, later := map[session]time.Time{}, map[session]Login{}
	err := j.read(ctx, func(entry Entry) error {
		process := session{entry.boot, entry.pid}
		if state, reason := outcome(entry); state != "" {
			// An opened session counts more than the denial of a module that was not required.
			if end := later[process]; end.State != Accepted || end.Time.Sub(entry.Time) >= apart {
				later[process] = Login{State: state, Reason: reason, Time: entry.Time}
			}
			return nil
		}
		login, ok := verdict(entry)
		if !ok {
			return nil
		}
		if time, known := latest[process]; known && time.Sub(login.Time) < apart {
			return nil
		}
		latest[process] = login.Time
		if end, known := later[process]; known {
			delete(later, process)
			login = login.ended(end)
		}
		if !match(login) {
			return nil
		}
		if found = append(found, login); len(found) == count {
			return errEnough
		}
		return nil
	}, append([]string{"--reverse"}, sessions...)...)
	slices.Reverse(found)
	return found, err
}

// ended returns the login with its outcome, unless the module itself refused it.
func (l Login) ended(end Login) Login {
	if l.State == Unfinished && end.Time.Sub(l.Time) < apart {
		l.State, l.Reason = end.State, end.Reason
	}
	return l
}
