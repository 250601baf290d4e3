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

// maxFrame is the largest frame of the login, in bytes. Real ones have some
// hundred.
const maxFrame = 64 << 10

// A refusal ends a login.
type refusal struct {
	// code is one of Cockpit's (doc/protocol.md, "Problem codes"), for the log.
	code string
	// text is for the user at the browser; empty if only the log says why.
	text string
	// err is for the administrator.
	err error
}

func (r *refusal) Error() string { return r.code + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// errGone means that cockpit-ws has ended the connection, so that it cannot be
// told anything.
var errGone = errors.New("cockpit-ws has hung up")

// exchange passes cockpit-session's challenge to cockpit-ws, and the changed
// reply back. It returns the browser's address that the reply has.
//
// The error is a *refusal or errGone.
func exchange(ws, session End, said *FrameReader, deadline time.Time) (peer string, err error) {
	for _, end := range []End{ws, session} {
		// Every descriptor that OpenEnd accepts has deadlines.
		_ = end.SetDeadline(deadline)
		defer end.SetDeadline(time.Time{})
	}
	cookie, err := challenge(said, ws)
	if err != nil {
		return "", err
	}
	reply, err := NewFrameReader(ws, maxFrame).Next()
	if err != nil {
		return "", replyRefusal(err)
	}
	changed, peer, err := RewriteReply(reply, cookie)
	switch {
	case errors.Is(err, ErrScheme):
		return "", &refusal{code: "authentication-failed", err: err}
	case err != nil:
		return "", &refusal{code: "protocol-error", err: err}
	}
	if _, err := session.Write(AppendFrame(nil, changed)); err != nil {
		return "", sessionRefusal(err)
	}
	return peer, nil
}

// challenge passes on what cockpit-session says up to and including its
// challenge, and returns the challenge's cookie.
func challenge(said *FrameReader, ws End) (cookie string, err error) {
	for {
		payload, err := said.Next()
		if err != nil {
			return "", sessionRefusal(err)
		}
		message := ParseMessage(payload)
		switch message.Kind {
		case Prompt:
			return "", &refusal{code: "internal-error", err: errors.New("cockpit-session asks for more before it has an answer")}
		case Failure:
			return "", &refusal{code: message.Problem, text: message.Text, err: errors.New(message.Text)}
		}
		if _, err := ws.Write(said.Raw()); err != nil {
			return "", errGone
		}
		if message.Kind == Challenge {
			return message.Cookie, nil
		}
	}
}

// verdict passes on what cockpit-session says up to its init message, and also
// data that is not Cockpit's protocol, which cockpit-ws then judges. said reports
// whether cockpit-session has said anything.
//
// The error is a *refusal: init reports a problem, or PAM asks the user
// something. The user could not answer, because Cockpit accepts no password from
// a browser that has a certificate, and its login page shows no text for a 401.
func verdict(from *FrameReader, ws End) (said bool, err error) {
	for {
		payload, err := from.Next()
		message := ParseMessage(payload)
		switch {
		case err != nil: // no frame, yet perhaps a part of one
		case message.Kind == Failure:
			return said, &refusal{code: message.Problem, text: message.Text, err: errors.New(message.Text)}
		case message.Kind == Prompt, message.Kind == Challenge:
			return said, question(message)
		}
		said = said || len(from.Raw()) > 0
		if _, err := ws.Write(from.Raw()); err != nil || message.Kind == Init {
			return said, nil
		}
		if err != nil {
			return said, nil
		}
	}
}

// question refuses a login in which a PAM module asks the user something.
// pam_cockpit_cert ends a login by an empty prompt, after a message that says why.
func question(asked Message) *refusal {
	if asked.Asked == "" && asked.Text != "" {
		return &refusal{code: "authentication-unavailable", text: asked.Text, err: errors.New(asked.Text)}
	}
	return &refusal{
		code: "access-denied",
		text: asked.Text + " This login needs an answer, which Cockpit does not take along with a certificate.",
		err:  fmt.Errorf("a PAM module asks %q (%s), and a login by certificate cannot answer", asked.Asked, asked.Text),
	}
}

// isEnd tells whether an error says that the party is gone, or has ended its stream.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func sessionRefusal(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("cockpit-session did not ask for credentials in time: %w", err)
		return &refusal{code: "timeout", err: err}
	case isEnd(err):
		err = fmt.Errorf("cockpit-session ended before it had an answer; the journal has its reason: %w", err)
	default:
		err = fmt.Errorf("cockpit-session does not speak Cockpit's protocol: %w", err)
	}
	return &refusal{code: "internal-error", err: err}
}

func replyRefusal(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{code: "timeout", err: fmt.Errorf("cockpit-ws did not reply to the authorize challenge in time: %w", err)}
	case isEnd(err):
		return errGone
	}
	return &refusal{code: "protocol-error", err: fmt.Errorf("reading the reply to the authorize challenge: %w", err)}
}
