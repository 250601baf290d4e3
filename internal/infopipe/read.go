// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// An answer that SSSD gives takes it some milliseconds. The question is put
// again after firstPatience, and then after twice the time each. So many times
// fill any deadline that a rule can ask for, 600 s.
const (
	firstPatience = 250 * time.Millisecond
	mostQuestions = 13
)

// A reading is a question for something that SSSD has at hand, put as often as
// it takes to get an answer.
//
// For SSSD 2.10 to 2.13 forget some. Those who ask the same thing at the same
// time, such as two logins of one user, share one answer; but when any client
// leaves the bus meanwhile, SSSD forgets all who share one, and not just the
// client (sbus_requests_terminate_member in src/sbus/request/sbus_request_hash.c).
// Questions about a certificate are not shared, so they need no such care.
type reading struct {
	ctx     context.Context // bounds every repetition
	object  dbus.BusObject
	method  string
	args    []any
	answers chan *dbus.Call
}

// read puts the question for the first time.
func read(ctx context.Context, object dbus.BusObject, method string, args ...any) *reading {
	r := &reading{ctx, object, method, args, make(chan *dbus.Call, mostQuestions)}
	r.ask()
	return r
}

func (r *reading) ask() {
	r.object.GoWithContext(r.ctx, r.method, dbus.FlagNoAutoStart, r.answers, r.args...)
}

// answer waits for whichever answer comes first; one that is late counts, too.
func (r *reading) answer() *dbus.Call {
	patience := firstPatience
	for range mostQuestions - 1 {
		select {
		case call := <-r.answers:
			return call
		case <-time.After(patience):
			r.ask()
			patience *= 2
		}
	}
	return <-r.answers
}
