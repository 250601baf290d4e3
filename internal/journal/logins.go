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
	Refused    State = "refused"    // by a PAM module, or because the session did not start
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
	command         string // the session command's process, if the unit's name has it
}

// session is the process whose lines belong to one login.
type session struct{ boot, pid string }

// sessions matches the lines of cockpit-session and the PAM modules in it, and those of
// cockpit-ws, which starts the session command. Of the former only root's count, because
// every user may write to the journal and could forge a login; the latter count by
// their unit, which journald sets. It does not always know the slice: the session command
// may have ended when its line is read.
var sessions = []string{"SYSLOG_IDENTIFIER=cockpit-session", "_UID=0", "+", "SYSLOG_IDENTIFIER=cockpit-ws"}

// apart is how far apart two verdicts with the same PID may be and still belong to
// one login, whose service has the rule twice. Later, another process has the PID.
const apart = time.Minute

// soon is how long after the PAM session was opened Cockpit's may still fail to start.
const soon = 10 * time.Second

// Logins returns the latest logins that match, at most count, the newest last.
func (j Journal) Logins(ctx context.Context, count int, match func(Login) bool) ([]Login, error) {
	var found []Login
	// The journal is read backwards: the outcome of a login comes before its verdict.
	latest, later := map[session]time.Time{}, map[session]Login{}
	var refusals []Login
	err := j.read(ctx, func(entry Entry) error {
		process := session{entry.boot, entry.pid}
		if refusal, ok := refusal(entry); ok {
			refusals = append(refusals, refusal)
			return nil
		}
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
		end := later[process]
		delete(later, process)
		for i := len(refusals) - 1; i >= 0 && refusals[i].Time.Sub(login.Time) < apart; i-- {
			if login.toldBy(refusals[i]) {
				login = login.refused(refusals[i], end)
				refusals = slices.Delete(refusals, i, i+1)
				break
			}
		}
		if login = login.ended(end); !match(login) {
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

// toldBy tells whether this may be the refusal of the login: of the same certificate
// and, from Cockpit 330 on, by the process for which systemd started cockpit-session.
func (l Login) toldBy(told Login) bool {
	return l.boot == told.boot && l.Fingerprint == told.Fingerprint && (l.command == "" || l.command == told.pid)
}

// refused returns the login with the refusal that the session command told the user,
// unless that came too long after the verdict, or after the session was opened.
func (l Login) refused(told, end Login) Login {
	if told.Time.Sub(l.Time) >= apart || end.State == Accepted && told.Time.Sub(end.Time) >= soon {
		return l
	}
	if l.From == "" {
		l.From = told.From
	}
	if l.State == Unfinished {
		l.State, l.Reason = Refused, told.Reason
		// A module's own line says more than the text for the user.
		if end.Time.Sub(l.Time) < apart && deniedLine.MatchString(end.Reason) {
			l.Reason = end.Reason
		}
	}
	return l
}

// ended returns the login with its outcome, if that is known, unless the module itself
// refused it.
func (l Login) ended(end Login) Login {
	if l.State == Unfinished && end.State != "" && end.Time.Sub(l.Time) < apart {
		l.State, l.Reason = end.State, end.Reason
	}
	return l
}
