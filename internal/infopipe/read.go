// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// SSSD answers within some milliseconds, if it does. A call is repeated after
// firstPatience, and then after twice the time before. This many repetitions
// outlast the longest timeout that a rule can set, 600 s.
const (
	firstPatience = 250 * time.Millisecond
	mostQuestions = 13
)

// A reading is a call that SSSD can answer at once, repeated until an answer
// comes.
//
// SSSD 2.10 to 2.13 loses answers: identical calls at the same time, such as
// those of two logins of one user, share one answer, and when any client
// disconnects meanwhile, SSSD drops the answers of all of them
// (sbus_requests_terminate_member in src/sbus/request/sbus_request_hash.c).
// Calls about a certificate are not shared, and so are not repeated.
type reading struct {
	ctx     context.Context // bounds every repetition
	object  dbus.BusObject
	method  string
	args    []any
	answers chan *dbus.Call
}

// read makes the call for the first time.
func read(ctx context.Context, object dbus.BusObject, method string, args ...any) *reading {
	r := &reading{ctx, object, method, args, make(chan *dbus.Call, mostQuestions)}
	r.ask()
	return r
}

func (r *reading) ask() {
	r.object.GoWithContext(r.ctx, r.method, dbus.FlagNoAutoStart, r.answers, r.args...)
}

// answer waits for the first answer, be it to the first call or to a repetition.
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
