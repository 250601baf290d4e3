// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package relay implements cockpit-cert-session, between cockpit-ws and
// cockpit-session. It changes one reply of the login so that PAM decides
// (handshake.go), tells the user why a login fails (sentence.go), and then
// passes the session's data on (pipe.go).
//
// No security depends on it. It runs as cockpit-ws's user, in the control group
// of the cockpit-ws for the certificate, and asks cockpit-session for what every
// process there may ask: a PAM conversation without a user name. The module finds
// the certificate, and so the user, by that control group alone.
//
// The data of the session has to pass through the relay: cockpit-ws gives its
// command one end of a socket pair and cannot accept another, and cockpit-session
// uses one socket from beginning to end.
//
// The messages of the login are described in Cockpit's doc/authentication.md
// and doc/protocol.md.
package relay

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// Timeout is how long a login may take up to the reply that is changed; after
// that, cockpit-ws and PAM have their own limits. cockpit-session waits as long
// for the reply; cockpit-ws by default gives up earlier.
const Timeout = 60 * time.Second

// Relay passes one session's data on. Its fields are the options of
// cockpit-cert-session.
type Relay struct {
	// Socket or Program is the cockpit-session to use; empty to look for it.
	Socket, Program string
	// Host is cockpit-ws's argument for the host, which the program gets.
	Host string
	// Timeout is how long the login may take up to the reply that is changed.
	Timeout time.Duration
	// Peer is the browser's address, if the reply does not have it.
	Peer string
	// Log takes messages for the administrator, a line each.
	Log io.Writer
}

// Status is how a process ends: by a signal, or else with a code.
type Status struct {
	Code   int
	Signal syscall.Signal
}

// refusedCode is cockpit-session's exit code after it has reported a problem.
const refusedCode = 5

// grace is how long a party may take to end after its partner is gone.
const grace = 2 * time.Second

// Run runs a session for ws until it ends, and returns how this process should
// end: like cockpit-session, if that is known.
func (r Relay) Run(ws End) Status {
	session, err := r.open()
	if err != nil {
		return r.refuse(ws, &refusal{code: "internal-error", err: err})
	}
	from := NewFrameReader(session.end, maxFrame)
	peer, err := exchange(ws, session.end, from, time.Now().Add(r.Timeout))
	if peer != "" {
		r.Peer = peer
	}
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		session.end.HangUp()
		defer session.waitFor(grace)
		return r.refuse(ws, refused)
	case err != nil: // errGone: the browser has given up
		session.end.HangUp()
		session.waitFor(grace)
		return Status{}
	}

	session.whenEnded(ws.StopReading)
	err = join(ws, session.end, func(wsGone func() bool) error { return r.listen(ws, session, from, wsGone) })
	switch {
	case errors.As(err, &refused):
		session.waitFor(grace)
		return Status{Code: refusedCode}
	case err != nil:
		fmt.Fprintf(r.Log, "cockpit-cert-session: %v\n", err)
		session.end.HangUp()
	}
	status := session.wait()
	if status.Signal != 0 {
		// cockpit-ws itself logs this only for a program called cockpit-session.
		fmt.Fprintf(r.Log, "cockpit-cert-session: cockpit-session ended by signal %d (%v)\n", status.Signal, status.Signal)
	}
	return status
}

// listen passes on cockpit-session's verdict on the login, and then the data of
// the session.
func (r Relay) listen(ws End, session *session, from *FrameReader, wsGone func() bool) error {
	err := verdict(from, ws)
	switch {
	case err == nil:
		return move(ws, session.end)
	case errors.Is(err, errGone), wsGone():
		return nil
	case errors.Is(err, errEnded):
		why := unopened(session.wait(), err)
		r.tell(ws, why)
		if session.process != nil {
			return nil // this process ends like that one
		}
		return why
	}
	r.tell(ws, err)
	session.end.HangUp()
	return err
}

// unopened explains, by its exit code, why a cockpit-session has ended without a word.
// cockpit-ws itself does that (on_pipe_close in src/ws/cockpitpipetransport.c), but
// only for a program called cockpit-session.
func unopened(status Status, err error) *refusal {
	switch status {
	case Status{Code: 127}:
		return &refusal{code: "no-cockpit", text: "cockpit-bridge not found", err: err}
	case Status{Code: 1}:
		return &refusal{code: "access-denied", text: "The session did not start: this account's shell, or cockpit-bridge, ended at once.", err: err}
	}
	return &refusal{code: "internal-error", err: err}
}

// refuse ends a login that has no session.
func (r Relay) refuse(ws End, why *refusal) Status {
	r.tell(ws, why)
	// Closing a socket with unread data resets the connection, and cockpit-ws
	// might see that before it reads the problem.
	ws.HangUp()
	_ = ws.SetReadDeadline(time.Now().Add(grace))
	_, _ = io.Copy(io.Discard, ws)
	return Status{Code: refusedCode}
}

// tell tells cockpit-ws of a refusal: as access-denied, because that is the only
// problem whose text every login page since Cockpit 248 shows.
func (r Relay) tell(ws End, err error) {
	var why *refusal
	if !errors.As(err, &why) {
		return
	}
	// The log comes first, because cockpit-ws may end this process once it is told.
	from := ""
	if r.Peer != "" {
		from = " (login from " + Line(r.Peer) + ")"
	}
	fmt.Fprintf(r.Log, "cockpit-cert-session: %v%s\n", cut(Line(why.Error()), maxLog), from)
	if errors.Is(why, ErrScheme) { // a browser without a certificate: the login page shows its form again
		r.write(ws, why.code, why.err.Error())
	} else {
		r.write(ws, "access-denied", Sentence(why.text, why.added))
	}
}

func (r Relay) write(ws End, problem, text string) {
	// Errors do not matter: cockpit-ws reads nothing, or is gone.
	_ = ws.SetWriteDeadline(time.Now().Add(grace))
	_, _ = ws.Write(AppendFrame(nil, Problem(problem, text)))
}
