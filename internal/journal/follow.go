// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package journal

import (
	"context"
	"time"
)

// How long Follow waits for the session of a login that the module accepted: once
// another module has denied it, and otherwise. Cockpit gives up after 30 s.
const (
	afterReason   = 2 * time.Second
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
	until time.Time
}

// add returns the login whose outcome this entry tells, if there is one.
func (w waiting) add(entry Entry, now time.Time) []Login {
	process := session{entry.boot, entry.pid}
	if login, ok := verdict(entry); ok {
		if login.State == Refused {
			return []Login{login}
		}
		w[process] = pending{login, now.Add(withoutReason)}
		return nil
	}
	state, reason := outcome(entry)
	waits, ok := w[process]
	if !ok || state == "" {
		return nil
	}
	waits.login.State, waits.login.Reason = state, reason
	if state == Accepted {
		delete(w, process)
		return []Login{waits.login}
	}
	w[process] = pending{waits.login, now.Add(afterReason)}
	return nil
}

// due returns the logins that have waited long enough.
func (w waiting) due(now time.Time) []Login {
	var due []Login
	for process, waits := range w {
		if now.After(waits.until) {
			due = append(due, waits.login)
			delete(w, process)
		}
	}
	return due
}
