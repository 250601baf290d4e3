// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
)

// Any other reply of cockpit-ws does not reach cockpit-session, and cockpit-ws gets
// a reason.
func TestAMalformedReply(t *testing.T) {
	authorize := func(members string) string {
		return framed("\n" + `{"command":"authorize","cookie":"session1234",` + members + `}`)
	}
	for _, test := range []struct{ name, reply, problem, about string }{
		{"a password", authorize(`"response":"Basic cm9vdDpzZWNyZXQ="`), "authentication-failed", "Basic"},
		{"a ticket", authorize(`"response":"Negotiate YII="`), "authentication-failed", `"Negotiate"; in cockpit.conf set this Command in [tls-cert] only`},
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
			// cockpit-ws finds the reason even if it reads late.
			ws.exits(5)
			if test.problem == "authentication-failed" {
				// A browser without a certificate: the login page shows its form.
				hearProblem(t, ws, test.problem, test.about)
			} else {
				hearRefusal(t, ws, "")
			}
			hearEnd(t, ws)
			ws.logged(test.problem + ": ")
			ws.logged(test.about)
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
		hearRefusal(t, ws, "")
		hearEnd(t, session)
		ws.exits(5)
		ws.logged("protocol-error: ")
		ws.logged("unexpected EOF")
	})
}

// A cockpit-session fails, in ways that only occur on a broken host.
func TestACockpitSessionThatFails(t *testing.T) {
	for _, test := range []struct{ name, says, problem, about string }{
		{"it ends at once", "", "internal-error", "ended before it had an answer"},
		{"it ends inside a frame", challenge[:20], "internal-error", "unexpected EOF"},
		{"it does not speak the protocol", "login: ", "internal-error", "length"},
		{"a frame of 99 megabytes", "99999999\nx", "internal-error", "too long"},
		{"it asks for a password first", framed("\n" + `{"command":"authorize","cookie":"1","challenge":"X-Conversation n cHJvbXB0"}`), "internal-error", "asks for more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := listen(t)
			ws := launch(t, nil, "--socket", l.path)
			session := l.accept(t)
			say(t, session, test.says)
			session.CloseWrite()
			hearRefusal(t, ws, "")
			hearEnd(t, ws)
			ws.exits(5)
			ws.logged(test.problem + ": ")
			ws.logged(test.about)
		})
	}
	t.Run("it challenges, and ends", func(t *testing.T) {
		l := listen(t)
		ws := launch(t, nil, "--socket", l.path)
		session := l.accept(t)
		say(t, session, challenge)
		session.Close()
		hear(t, ws, challenge)
		say(t, ws, reply)
		hearRefusal(t, ws, "")
		ws.exits(5)
		ws.logged("internal-error: cockpit-session ended before it had an answer")
	})
	t.Run("it has a problem of its own", func(t *testing.T) {
		l := listen(t)
		ws := launch(t, nil, "--socket", l.path)
		session := l.accept(t)
		say(t, session, framed("\n"+`{"command":"init","version":1,"problem":"internal-error","message":"no"}`))
		hearRefusal(t, ws, "no")
		hearEnd(t, ws)
		ws.exits(5)
	})
	t.Run("the executed one ends at once", func(t *testing.T) {
		ws := executed(t, "end=1")
		hearRefusal(t, ws, "")
		ws.exits(5)
		ws.logged("ended before it had an answer")
		ws.logged("ends with 1")
	})
}

// If a login ends between the reply and init, the user gets a text, and the log has
// the reason and the browser's address.
func TestARefusedLogin(t *testing.T) {
	const init = `{"command":"init","version":1,"problem":`
	for _, test := range []struct{ name, says, text, logs string }{
		{"a certificate that no user has", init + `"authentication-failed","message":"The certificate does not belong to a user of this system."}`,
			"The certificate does not belong to a user of this system.", "authentication-failed: The certificate"},
		{"SSSD is down", init + `"authentication-unavailable","message":"Authentication service cannot retrieve authentication info"}`,
			"Authentication service cannot retrieve authentication info", "authentication-unavailable: "},
		{"the account is refused", init + `"access-denied","message":"Permission denied"}`, "Permission denied", "access-denied: "},
		{"an error of PAM's", init + `"internal-error","message":"System error"}`, "System error", "internal-error: "},
		{"a text that is not escaped", init + `"access-denied","message":"` + "It is \"down\",\n\tuntil\x07 8:00\n" + `"}`,
			`It is "down", until 8:00`, `access-denied: It is "down", until 8:00 (login`},
		{"a problem without a text", init + `"internal-error"}`, "", "internal-error"},
		{"our module's end, without a question",
			`{"command":"authorize","cookie":"c","challenge":"X-Conversation n","error":"Try again later.","echo":true}`,
			"Try again later.", "access-denied: Try again later."},
		{"a question",
			`{"command":"authorize","cookie":"c","challenge":"X-Conversation n Q3VycmVudCBwYXNzd29yZDog","error":"You must change it."}`,
			"You must change it. This login needs an answer, which Cockpit does not take along with a certificate.", `asks "Current password: "`},
		{"a long text", init + `"access-denied","message":"` + strings.Repeat("x", 500000) + `"}`, strings.Repeat("x", 400) + "...", "access-denied: xxx"},
		{"an empty text", init + `"access-denied","message":""}`, "Permission denied", "access-denied: "},
		{"a challenge once more", `{"command":"authorize","cookie":"c","challenge":"*"}`,
			"This login needs an answer, which Cockpit does not take along with a certificate.", "cannot answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ws, session := replied(t)
			say(t, session, framed("\n"+test.says))
			hearRefusal(t, ws, test.text)
			hearEnd(t, ws)
			hearEnd(t, session)
			ws.exits(5)
			ws.logged(test.logs)
			ws.logged("login from ::ffff:203.0.113.7")
		})
	}
	t.Run("a question after a long text", func(t *testing.T) {
		banner := strings.Repeat("All use is monitored. ", 500)
		ws, session := replied(t)
		say(t, session, framed("\n"+`{"command":"authorize","cookie":"c","challenge":"X-Conversation n Q29kZTog","error":"Expired.","message":"`+banner+`"}`))
		hearRefusal(t, ws, "Expired. "+banner, "This login needs an answer, which Cockpit does not take along with a certificate.")
		ws.exits(5)
	})
	t.Run("by the executed cockpit-session, which ends too", func(t *testing.T) {
		ws := executed(t, "challenge reply ask echo end=9")
		hear(t, ws, challenge)
		say(t, ws, reply)
		hearRefusal(t, ws, "This login needs an answer, which Cockpit does not take along with a certificate.")
		ws.exits(5)
		ws.logged("ends with 9")
	})
}

// What is not Cockpit's protocol does not become cockpit-ws's "Internal error".
func TestAVerdictThatIsNotTheProtocol(t *testing.T) {
	for _, said := range []string{"Welcome to this host!\n", "99999999\nx", "0\n", "007\nx", "\n"} {
		ws, session := replied(t)
		say(t, session, said)
		hearRefusal(t, ws, "")
		hearEnd(t, ws)
		// What the relay has not read of it may reset the connection.
		if rest, err := io.ReadAll(session); len(rest) != 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: heard %q, %v, want the end", said, rest, err)
		}
		ws.exits(5)
		ws.logged("protocol-error: cockpit-session, or the user's cockpit-bridge, does not speak Cockpit's protocol")
	}
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
			hearRefusal(t, ws, "")
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
		hearRefusal(t, ws, "")
		ws.exits(5)
		ws.logged("connection refused")
	})
}
