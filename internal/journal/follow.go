// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package journal

import (
	"context"
	"time"
)

// How long Follow waits for the session of a login that the module accepted, and then
// for what may follow: an optional module's denial before the session is opened, or a
// session that is opened and does not start. Cockpit gives up after 30 s.
const (
	afterOutcome  = 2 * time.Second
	withoutReason = 30 * time.Second
)

// Follow calls f for each login from now on, once its outcome is known, until the
// context is done.
func (j Journal) Follow(ctx context.Context, f func(Login) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals, ended := make(chan Entry), make(chan error, 1)
	go func() {
		ended <- j.read(ctx, func(entry Entry) error {
			select {
			case arrivals <- entry:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, append([]string{"--follow", "--lines=0"}, sessions...)...)
	}()

	waiting := waiting{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var known []Login
		select {
		case err := <-ended:
			return err
		case entry := <-arrivals:
			known = waiting.add(entry, time.Now())
		case now := <-tick.C:
			known = waiting.due(now)
		}
		for _, login := range known {
			if err := f(login); err != nil {
				return err
			}
		}
	}
}

// waiting has the logins whose outcome is not known yet.
type waiting map[session]pending

type pending struct {
	login Login
	end   Login
	until time.Time
}

// add returns the login whose outcome this entry tells, if there is one.
func (w waiting) add(entry Entry, now time.Time) []Login {
	process := session{entry.boot, entry.pid}
	if login, ok := verdict(entry); ok {
		if login.State == Refused {
			return []Login{login}
		}
		w[process] = pending{login: login, until: now.Add(withoutReason)}
		return nil
	}
	if told, ok := refusal(entry); ok {
		return w.refused(told)
	}
	state, reason := outcome(entry)
	waits, ok := w[process]
	// Of several, the first reason counts, and an opened session more than any.
	if !ok || state == "" || waits.end.State == Accepted || waits.end.State == state {
		return nil
	}
	waits.end = Login{Time: entry.Time, State: state, Reason: reason}
	waits.until = now.Add(afterOutcome)
	w[process] = waits
	return nil
}

// refused returns the login that a refusal is of: with one certificate, the latest.
func (w waiting) refused(told Login) []Login {
	var of session
	for process, waits := range w {
		if waits.login.toldBy(told) && (of == session{} || waits.login.Time.After(w[of].login.Time)) {
			of = process
		}
	}
	waits, ok := w[of]
	if !ok {
		return nil
	}
	delete(w, of)
	return []Login{waits.login.refused(told, waits.end).ended(waits.end)}
}

// due returns the logins that have waited long enough.
func (w waiting) due(now time.Time) []Login {
	var due []Login
	for process, waits := range w {
		if now.After(waits.until) {
			due = append(due, waits.login.ended(waits.end))
			delete(w, process)
		}
	}
	return due
}
