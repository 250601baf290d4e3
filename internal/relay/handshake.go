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
// hundred, and the whole of PAM's text, such as the file that pam_nologin shows.
const maxFrame = 1 << 20

// A refusal ends a login.
type refusal struct {
	// code is one of Cockpit's (doc/protocol.md, "Problem codes"), for the log.
	code string
	// text is for the user at the browser; empty if only the log says why. added
	// follows it.
	text, added string
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
		err = fmt.Errorf("%w; in cockpit.conf set this Command in [tls-cert] only", err)
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
			return "", failure(message)
		}
		if _, err := ws.Write(said.Raw()); err != nil {
			return "", errGone
		}
		if message.Kind == Challenge {
			return message.Cookie, nil
		}
	}
}

// errEnded means that cockpit-session has ended before it opened the session.
var errEnded = errors.New("cockpit-session ended before it opened the session")

// verdict passes on what cockpit-session says up to its init message.
//
// The error is errGone, errEnded or a *refusal: init reports a problem, PAM asks the
// user something, or this is not Cockpit's protocol. The user could not answer,
// because Cockpit accepts no password from a browser that has a certificate, and its
// login page shows no text for a 401.
func verdict(from *FrameReader, ws End) error {
	for {
		payload, err := from.Next()
		switch {
		case errors.Is(err, ErrLength), errors.Is(err, ErrTooLong):
			err = fmt.Errorf("cockpit-session, or the user's cockpit-bridge, does not speak Cockpit's protocol: %w", err)
			return &refusal{code: "protocol-error", err: err}
		case err != nil:
			return fmt.Errorf("%w: %w", errEnded, err)
		}
		message := ParseMessage(payload)
		switch message.Kind {
		case Failure:
			return failure(message)
		case Prompt, Challenge:
			return question(message)
		}
		if _, err := ws.Write(from.Raw()); err != nil {
			return errGone
		}
		if message.Kind == Init {
			return nil
		}
	}
}

// failure refuses a login that cockpit-session refuses. Its text is empty if PAM's is,
// as that of pam_nologin for an empty file.
func failure(message Message) *refusal {
	text := message.Text
	if text == "" && message.Problem == "access-denied" {
		text = "Permission denied"
	}
	return &refusal{code: message.Problem, text: text, err: errors.New(text)}
}

// question refuses a login in which a PAM module asks the user something.
// pam_cockpit_cert ends a login by an empty prompt, after a message that says why.
func question(asked Message) *refusal {
	const code = "access-denied"
	if asked.Asked == "" && asked.Text != "" {
		return &refusal{code: code, text: asked.Text, err: errors.New(asked.Text)}
	}
	return &refusal{
		code: code,
		text: asked.Text, added: unanswerable,
		err: fmt.Errorf("a PAM module asks %q (%s), and a login by certificate cannot answer", asked.Asked, asked.Text),
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
