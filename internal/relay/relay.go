// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package relay is cockpit-cert-session: it stands between cockpit-ws and
// cockpit-session, changes one reply of the login so that PAM decides
// (message.go), and then joins the two (pipe.go).
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
	"os"
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
	// Signals is called before a process is started, for the signals that are
	// passed on to it.
	Signals func() <-chan os.Signal
	// Log takes messages for the administrator, a line each.
	Log io.Writer
}

// Status is how a process ends: by a signal, or else with a code.
type Status struct {
	Code   int
	Signal syscall.Signal
}

// refused is cockpit-session's exit code after it has reported a problem.
const refused = 5

// grace is how long a cockpit-session whose login has failed may take to end.
const grace = 2 * time.Second

// Run runs a session for ws until it ends, and returns how the process should
// end in turn: like cockpit-session, as far as that can be known.
func (r Relay) Run(ws End) Status {
	session, err := r.open()
	if err != nil {
		return r.refuse(ws, &problem{"internal-error", err})
	}
	ended := make(chan Status, 1)
	go func() { ended <- r.serve(ws, session) }()
	for {
		select {
		case status := <-ended:
			return status
		case received := <-session.signals:
			// Where it is passed on, the process's end will be ours. The setuid
			// program is root's, and cannot be signalled: hanging up ends that.
			if session.process.Signal(received) != nil {
				session.end.HangUp()
			}
		}
	}
}

func (r Relay) serve(ws End, session *session) Status {
	rest, err := handshake(ws, session.end, time.Now().Add(r.Timeout))
	if err == nil {
		return r.join(ws, session, rest)
	}
	session.end.HangUp()
	var told *problem
	switch {
	case errors.As(err, &told):
		defer session.waitFor(grace)
		return r.refuse(ws, told)
	case errors.Is(err, errDecided):
		session.waitFor(grace)
		return Status{Code: refused}
	default: // errGone: an end without a word is how a browser gives up
		session.waitFor(grace)
		return Status{}
	}
}

// join leaves the session to its two parties until it ends.
func (r Relay) join(ws End, session *session, rest []byte) Status {
	if _, err := ws.W.Write(rest); err != nil {
		session.end.HangUp()
		return session.wait()
	}
	over := make(chan struct{})
	if session.process != nil {
		go func() {
			select {
			case <-session.ended:
				// Its children may still hold the socket, yet none of them
				// speaks for it.
				ws.StopReading()
			case <-over:
			}
		}()
	}
	// A policy, such as SELinux's, may forbid it, at no other cost than time.
	if err := standBack(); err != nil && !errors.Is(err, os.ErrPermission) {
		fmt.Fprintf(r.Log, "cockpit-cert-session: large transfers will be slower: %v\n", err)
	}
	err := Pipe{Near: ws, Far: session.end, FarEnded: func(n int64) {
		if n == 0 && len(rest) == 0 {
			r.explain(ws, session)
		}
	}}.Run()
	close(over)
	if err != nil {
		fmt.Fprintf(r.Log, "cockpit-cert-session: %v\n", err)
		session.end.HangUp()
	}
	return session.wait()
}

// explain tells cockpit-ws what it would have known from the exit code of a
// program called cockpit-session that ended without a word (on_pipe_close in
// src/ws/cockpitpipetransport.c). Of others it knows no such thing.
func (r Relay) explain(ws End, session *session) {
	switch session.wait() {
	case Status{Code: 127}:
		r.tell(ws, &problem{"no-cockpit", errors.New("cockpit-bridge not found")})
	case Status{Code: 1}:
		r.tell(ws, &problem{"access-denied", errors.New("cockpit-session could not open the session; the journal has its reason")})
	}
}

// refuse ends a login.
func (r Relay) refuse(ws End, p *problem) Status {
	r.tell(ws, p)
	// A socket that is closed with data unread resets the connection, and its
	// party might see that before the problem.
	ws.HangUp()
	_ = ws.R.SetReadDeadline(time.Now().Add(grace))
	_, _ = io.Copy(io.Discard, ws.R)
	return Status{Code: refused}
}

func (r Relay) tell(ws End, p *problem) {
	fmt.Fprintf(r.Log, "cockpit-cert-session: %s: %v\n", p.code, p)
	// A cockpit-ws that does not read has had its chance; and one that is gone
	// needs no telling.
	_ = ws.W.SetWriteDeadline(time.Now().Add(grace))
	_, _ = ws.W.Write(AppendFrame(nil, Problem(p.code, p.Error())))
}
