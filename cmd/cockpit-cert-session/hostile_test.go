// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"strings"
	"testing"
)

// Whatever else cockpit-ws replies, nothing of it reaches cockpit-session, and
// cockpit-ws gets a reason.
func TestAReplyThatIsNone(t *testing.T) {
	authorize := func(members string) string {
		return framed("\n" + `{"command":"authorize","cookie":"session1234",` + members + `}`)
	}
	for _, test := range []struct{ name, reply, problem, about string }{
		{"a password", authorize(`"response":"Basic cm9vdDpzZWNyZXQ="`), "authentication-failed", "Basic"},
		{"a ticket", authorize(`"response":"Negotiate YII="`), "authentication-failed", "Negotiate"},
		{"no response", authorize(`"challenge":"*"`), "protocol-error", "no response"},
		{"two responses", authorize(`"response":"tls-cert x","response":"Basic cm9vdDp4"`), "protocol-error", "twice"},
		{"a response deeper down", authorize(`"a":{"response":"Basic cm9vdDp4"},"response":"tls-cert x"`), "protocol-error", "more than one"},
		{"another cookie", framed("\n" + `{"command":"authorize","cookie":"x","response":"tls-cert x"}`), "protocol-error", "cookie"},
		{"another message", framed("\n" + `{"command":"init","version":1}`), "protocol-error", "init"},
		{"data", framed("4:data"), "protocol-error", "control"},
		{"no JSON", framed("\n" + `{"command":`), "protocol-error", "JSON"},
		{"no frame", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "protocol-error", "length"},
		{"a length without end", strings.Repeat("9", 100), "protocol-error", "length"},
		{"an empty frame", "0\n", "protocol-error", "length"},
		{"a leading zero", "0" + reply, "protocol-error", "length"},
		{"a frame of 99 megabytes", "99999999\n" + strings.Repeat("x", 1<<16), "protocol-error", "too long"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := listen(t)
			ws := launch(t, nil, "--socket", l.path)
			session := l.accept(t)
			say(t, session, challenge)
			hear(t, ws, challenge)
			say(t, ws, test.reply)
			hearEnd(t, session)
			// cockpit-ws finds the reason even where it looks late.
			ws.exits(5)
			hearProblem(t, ws, test.problem, test.about)
			hearEnd(t, ws)
			ws.logged(test.problem)
			if strings.Contains(ws.stderr.String(), "c2VjcmV0") {
				t.Error("a password is logged")
			}
		})
	}
	t.Run("a frame that is cut off", func(t *testing.T) {
		l := listen(t)
		ws := launch(t, nil, "--socket", l.path)
		session := l.accept(t)
		say(t, session, challenge)
		hear(t, ws, challenge)
		say(t, ws, reply[:len(reply)-1])
		ws.CloseWrite()
		hearProblem(t, ws, "protocol-error", "unexpected EOF")
		hearEnd(t, session)
		ws.exits(5)
	})
}

// A cockpit-session that fails, in ways that only a broken host knows.
func TestASessionThatIsNone(t *testing.T) {
	for _, test := range []struct{ name, says, problem, about string }{
		{"it ends at once", "", "internal-error", "ended before it had an answer"},
		{"it ends inside a frame", challenge[:20], "internal-error", "unexpected EOF"},
		{"it does not speak the protocol", "login: ", "internal-error", "length"},
		{"a frame of 99 megabytes", "99999999\nx", "internal-error", "too long"},
		{"it asks for a password first", framed("\n" + `{"command":"authorize","cookie":"1","challenge":"X-Conversation n cHJvbXB0"}`), "internal-error", "asks for more"},
		{"it challenges, and ends", challenge, "internal-error", "ended before it had an answer"},
		{"it challenges twice, and ends", challenge + challenge, "internal-error", "ended before it had an answer"},
		{"it challenges, and asks for a password", challenge + framed("\n"+`{"command":"authorize","cookie":"1","challenge":"X-Conversation n cHJvbXB0"}`), "internal-error", "asks for more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := listen(t)
			ws := launch(t, nil, "--socket", l.path)
			session := l.accept(t)
			say(t, session, test.says)
			session.CloseWrite()
			for rest := test.says; strings.HasPrefix(rest, challenge); rest = rest[len(challenge):] {
				hear(t, ws, challenge)
			}
			hearProblem(t, ws, test.problem, test.about)
			hearEnd(t, ws)
			ws.exits(5)
			ws.logged(test.problem)
		})
	}
	t.Run("it has a problem of its own", func(t *testing.T) {
		l := listen(t)
		ws := launch(t, nil, "--socket", l.path)
		session := l.accept(t)
		problem := framed("\n" + `{"command":"init","version":1,"problem":"access-denied","message":"no"}`)
		say(t, session, challenge+problem)
		hear(t, ws, challenge+problem)
		hearEnd(t, ws)
		ws.exits(5)
	})
	t.Run("the executed one ends at once", func(t *testing.T) {
		ws := executed(t, "end=1")
		hearProblem(t, ws, "internal-error", "ended before it had an answer")
		ws.exits(5)
		ws.logged("ends with 1")
	})
}

func TestNoSession(t *testing.T) {
	for _, test := range []struct {
		name, about string
		arguments   []string
	}{
		{"no such socket", "/nonexistent/socket", []string{"--socket", "/nonexistent/socket"}},
		{"no such program", "/nonexistent/program", []string{"--session", "/nonexistent/program"}},
		{"a program that cannot be executed", "permission denied", []string{"--session", "/etc/passwd"}},
		{"a path too long for a socket", "invalid argument", []string{"--socket", "/" + strings.Repeat("x", 200)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ws := launch(t, nil, test.arguments...)
			hearProblem(t, ws, "internal-error", test.about)
			hearEnd(t, ws)
			ws.exits(5)
			ws.logged(test.about)
		})
	}
	t.Run("a socket that nobody listens on", func(t *testing.T) {
		l := listen(t)
		l.SetUnlinkOnClose(false)
		l.Close()
		ws := launch(t, nil, "--socket", l.path)
		hearProblem(t, ws, "internal-error", "connection refused")
		ws.exits(5)
	})
}
