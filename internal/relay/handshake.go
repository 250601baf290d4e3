// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// maxFrame bounds a frame of the login, in bytes. Real ones have some hundred.
const maxFrame = 64 << 10

// A problem ends a login; cockpit-ws and the browser get to know it.
type problem struct {
	// code is one of Cockpit's (doc/protocol.md, "Problem codes").
	code string
	err  error
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

var (
	// errGone means that cockpit-ws is gone, and nobody is left to tell.
	errGone = errors.New("cockpit-ws has hung up")
	// errDecided means that cockpit-session has told cockpit-ws its problem.
	errDecided = errors.New("cockpit-session has ended the login")
)

// handshake passes the frames of the login on, and changes the one reply. After
// it, both directions belong to cockpit-ws and cockpit-session alone; rest is
// what came from cockpit-session and has yet to be passed on.
//
// The error is a *problem that cockpit-ws has yet to be told, errGone, or
// errDecided.
func handshake(ws, session End, deadline time.Time) (rest []byte, err error) {
	setDeadline(deadline, ws, session)
	defer setDeadline(time.Time{}, ws, session)

	said := NewFrameReader(session.R, maxFrame)
	cookie, err := challenge(said, ws.W)
	if err != nil {
		return nil, err
	}

	// While cockpit-ws has its time for the reply, cockpit-session may still
	// speak, or end.
	aside := make(chan error, 1)
	go func() {
		err := forward(said, ws.W)
		// Before anybody hears of it: once the handshake is over, the deadlines
		// are the session's.
		_ = ws.R.SetReadDeadline(past)
		aside <- err
	}()
	reply, replyErr := NewFrameReader(ws.R, maxFrame).Next()
	_ = session.R.SetReadDeadline(past)
	if err := <-aside; !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, err
	}
	if replyErr != nil {
		return nil, replyProblem(replyErr)
	}

	changed, err := RewriteReply(reply, cookie)
	switch {
	case errors.Is(err, ErrScheme):
		return nil, &problem{"authentication-failed", err}
	case err != nil:
		return nil, &problem{"protocol-error", err}
	}
	if _, err := session.W.Write(AppendFrame(nil, changed)); err != nil {
		return nil, sessionProblem(err)
	}
	return said.Raw(), nil
}

// past is a deadline that makes whoever waits stop at once.
var past = time.Unix(1, 0)

func setDeadline(t time.Time, ends ...End) {
	for _, end := range ends {
		// What OpenEnd accepts knows deadlines.
		_ = end.R.SetDeadline(t)
		_ = end.W.SetDeadline(t)
	}
}

// challenge passes on what cockpit-session says up to its challenge, and
// returns the cookie of that.
func challenge(said *FrameReader, ws io.Writer) (cookie string, err error) {
	for {
		kind, cookie, err := pass(said, ws)
		if err != nil || kind == Challenge {
			return cookie, err
		}
	}
}

// forward passes on whatever cockpit-session says, until it says no more.
func forward(said *FrameReader, ws io.Writer) error {
	for {
		if _, _, err := pass(said, ws); err != nil {
			return err
		}
	}
}

// pass passes one frame on. Its error may also be os.ErrDeadlineExceeded,
// while there is no whole frame.
func pass(said *FrameReader, ws io.Writer) (MessageKind, string, error) {
	payload, err := said.Next()
	if err != nil {
		return 0, "", sessionProblem(err)
	}
	kind, cookie := ParseMessage(payload)
	if kind == Prompt {
		return 0, "", &problem{"internal-error", errors.New("cockpit-session asks for more before it has an answer")}
	}
	if _, err := ws.Write(said.Raw()); err != nil {
		return 0, "", errGone
	}
	if kind == Init {
		return 0, "", errDecided
	}
	return kind, cookie, nil
}

func sessionProblem(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{"timeout", fmt.Errorf("cockpit-session did not ask for credentials in time: %w", err)}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &problem{"internal-error", fmt.Errorf("cockpit-session ended before it had an answer; the journal has its reason: %w", err)}
	}
	return &problem{"internal-error", fmt.Errorf("cockpit-session does not speak Cockpit's protocol: %w", err)}
}

func replyProblem(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{"timeout", fmt.Errorf("cockpit-ws did not reply to the authorize challenge in time: %w", err)}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return errGone
	}
	return &problem{"protocol-error", fmt.Errorf("reading the reply to the authorize challenge: %w", err)}
}
