// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package relay is cockpit-cert-session: it stands between cockpit-ws and
// cockpit-session, changes one reply of the login so that PAM decides
// (handshake.go), says in plain words why a login fails (sentence.go), and then
// joins the two (pipe.go).
//
// Nothing depends on its honesty. It runs as cockpit-ws's user, in the control
// group of the certificate's own cockpit-ws, and asks cockpit-session for what
// every process there may ask: a PAM conversation without a user name. Who the
// user is follows from that control group alone.
//
// cockpit-ws hands its command one end of a socket pair, and has no way to
// accept another, and cockpit-session reads its one socket from beginning to
// end. So the data of a session has to pass through here.
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

// Timeout bounds the login up to the reply that is changed; how long PAM then
// takes is for cockpit-ws and PAM to say. It is what cockpit-session allows for
// the reply; cockpit-ws by default loses patience earlier.
const Timeout = 60 * time.Second

// Relay is one session's, with what it needs to know.
type Relay struct {
	// Socket or Program is the cockpit-session to use; empty to look for it.
	Socket, Program string
	// Host is what cockpit-ws gave for the host, for the program.
	Host string
	// Timeout bounds the login up to the reply that is changed.
	Timeout time.Duration
	// Peer is the browser's address, where the reply does not have it.
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

// Run runs a session for ws until it ends, and returns how the process should
// end in turn: like cockpit-session, as far as that can be known.
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
	case err != nil: // errGone: an end without a word is how a browser gives up
		session.end.HangUp()
		session.waitFor(grace)
		return Status{}
	}

	session.whenEnded(ws.StopReading)
	err = join(ws, session.end, func() error { return r.listen(ws, session, from) })
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
		// cockpit-ws says so itself only of a program called cockpit-session.
		fmt.Fprintf(r.Log, "cockpit-cert-session: cockpit-session ended by signal %d (%v)\n", status.Signal, status.Signal)
	}
	return status
}

// listen passes on what cockpit-session says: its verdict on the login, and then
// the data of the session.
func (r Relay) listen(ws End, session *session, from *FrameReader) error {
	said, err := verdict(from, ws)
	if err != nil {
		r.tell(ws, err)
		session.end.HangUp()
		return err
	}
	if !said {
		return r.explain(ws, session)
	}
	return move(ws, session.end)
}

// explain tells cockpit-ws what it would have known from the exit code of a
// program called cockpit-session that ended without a word (on_pipe_close in
// src/ws/cockpitpipetransport.c). Of others it knows no such thing.
func (r Relay) explain(ws End, session *session) error {
	switch session.wait() {
	case Status{Code: 127}:
		r.write(ws, "no-cockpit", "cockpit-bridge not found")
	case Status{Code: 1}:
		r.write(ws, "access-denied", Sentence("This account has no shell that it may log in with."))
	}
	return nil
}

// refuse ends a login for which there is no session, or none any more.
func (r Relay) refuse(ws End, why *refusal) Status {
	r.tell(ws, why)
	// A socket that is closed with data unread resets the connection, and its
	// party might see that before the problem.
	ws.HangUp()
	_ = ws.SetReadDeadline(time.Now().Add(grace))
	_, _ = io.Copy(io.Discard, ws)
	return Status{Code: refusedCode}
}

// tell tells cockpit-ws of a refusal: as access-denied, for that is the one
// problem whose text every login page since Cockpit 248 shows.
func (r Relay) tell(ws End, err error) {
	var why *refusal
	if !errors.As(err, &why) {
		return
	}
	// First, for a cockpit-ws that has been told may end this process.
	from := ""
	if r.Peer != "" {
		from = " (login from " + Line(r.Peer) + ")"
	}
	fmt.Fprintf(r.Log, "cockpit-cert-session: %v%s\n", Line(why.Error()), from)
	if errors.Is(why, ErrScheme) { // a browser without a certificate, for which the page has a form
		r.write(ws, why.code, why.err.Error())
	} else {
		r.write(ws, "access-denied", Sentence(why.text))
	}
}

func (r Relay) write(ws End, problem, text string) {
	// A cockpit-ws that does not read has had its chance; and one that is gone
	// needs no telling.
	_ = ws.SetWriteDeadline(time.Now().Add(grace))
	_, _ = ws.Write(AppendFrame(nil, Problem(problem, text)))
}
