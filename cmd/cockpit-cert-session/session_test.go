// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestSocketSession(t *testing.T) {
	ws, session := login(t)
	// After the login nothing is changed any more, not even data that looks like a login.
	for _, text := range []string{"\x00\xff\n", challenge, reply, "0\n", strings.Repeat("x", 100000)} {
		go io.WriteString(session, text)
		hear(t, ws, text)
		go io.WriteString(ws, text)
		hear(t, session, text)
	}
	session.Close()
	hearEnd(t, ws)
	ws.exits(0)
}

// cockpit-session's peer is the process that connected, whose control group names
// the certificate.
func TestThePeerOfTheSocketIsTheProgram(t *testing.T) {
	ws, session := login(t)
	raw, err := session.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		peer, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err != nil || int(peer.Pid) != ws.command.Process.Pid {
			t.Errorf("the peer is %+v, %v, want process %d", peer, err, ws.command.Process.Pid)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatFollowsTheReplyAtOnceArrives(t *testing.T) {
	l := listen(t)
	ws := launch(t, nil, "--socket", l.path)
	session := l.accept(t)
	say(t, session, challenge)
	say(t, ws, reply+"more\x00"+reply)
	hear(t, session, rewritten+"more\x00"+reply)
	hear(t, ws, challenge)
}

// Data that cockpit-session sends before cockpit-ws replies is passed on later.
func TestWhatTheSessionSaysBeforeTheReplyArrives(t *testing.T) {
	l := listen(t)
	ws := launch(t, nil, "--socket", l.path)
	session := l.accept(t)
	say(t, session, framed("\n"+`{"command":"hint"}`)+challenge+framed("4:data")+"7\nhal")
	hear(t, ws, framed("\n"+`{"command":"hint"}`)+challenge)
	say(t, ws, reply)
	hear(t, session, rewritten)
	hear(t, ws, framed("4:data"))
	say(t, session, "f mo"+opened)
	hear(t, ws, "7\nhalf mo"+opened)
}

func TestEitherPartyMayEndItsDirection(t *testing.T) {
	t.Run("cockpit-ws", func(t *testing.T) {
		ws, session := login(t)
		say(t, ws, "that is all")
		ws.CloseWrite()
		hear(t, session, "that is all")
		hearEnd(t, session)
		say(t, session, "and the answer")
		hear(t, ws, "and the answer")
		session.Close()
		hearEnd(t, ws)
		ws.exits(0)
	})
	t.Run("cockpit-session", func(t *testing.T) {
		ws, session := login(t)
		say(t, session, "that is all")
		session.CloseWrite()
		hear(t, ws, "that is all")
		hearEnd(t, ws)
		say(t, ws, "and the answer")
		ws.CloseWrite()
		hear(t, session, "and the answer")
		hearEnd(t, session)
		ws.exits(0)
	})
}

func TestAPartyThatDiesTakesTheSessionWithIt(t *testing.T) {
	t.Run("cockpit-ws", func(t *testing.T) {
		ws, session := login(t)
		ws.Close()
		hearEnd(t, session)
		session.Close()
		ws.exits(0)
	})
	t.Run("cockpit-session, which leaves cockpit-ws waiting", func(t *testing.T) {
		ws, session := login(t)
		session.Close()
		hearEnd(t, ws)
		ws.exits(0) // although cockpit-ws has closed nothing
	})
	t.Run("cockpit-ws during the login", func(t *testing.T) {
		l := listen(t)
		ws := launch(t, nil, "--socket", l.path)
		session := l.accept(t)
		say(t, session, challenge)
		hear(t, ws, challenge)
		ws.Close()
		hearEnd(t, session)
		ws.exits(0)
	})
}

func TestASignalEndsASocketSession(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			if signal.Ignored(sig) {
				t.Skip("this signal is ignored here")
			}
			ws, session := login(t)
			ws.command.Process.Signal(sig)
			hearEnd(t, session)
			hearEnd(t, ws)
			if status := ws.exited(); !status.Signaled() || status.Signal() != sig {
				t.Errorf("the program ended as %v, want by %v", ws.command.ProcessState, sig)
			}
		})
	}
}

func executed(t *testing.T, steps string) *cockpitWS {
	t.Helper()
	return launch(t, []string{"COCKPIT_SESSION=" + steps, "COCKPIT_REMOTE_PEER=203.0.113.7"},
		"--session", program(t, "cockpit-session"))
}

func TestExecutedSession(t *testing.T) {
	ws := executed(t, "challenge reply open echo end=0")
	hear(t, ws, challenge)
	say(t, ws, reply+"hello\x00")
	hear(t, ws, opened+"hello\x00")
	ws.CloseWrite()
	hearEnd(t, ws)
	ws.exits(0)
	ws.logged(`host ["localhost"], remote peer "203.0.113.7"`)
}

func TestTheProgramEndsLikeTheSession(t *testing.T) {
	for _, code := range []int{0, 2, 5, 127, 255} {
		t.Run("exit status "+strconv.Itoa(code), func(t *testing.T) {
			ws := executed(t, "challenge reply open say=x end="+strconv.Itoa(code))
			hear(t, ws, challenge)
			say(t, ws, reply)
			hear(t, ws, opened+"x")
			hearEnd(t, ws)
			ws.exits(code)
			ws.logged("ends with " + strconv.Itoa(code))
		})
	}
	t.Run("a signal", func(t *testing.T) {
		ws := executed(t, "challenge reply open say=x kill")
		hear(t, ws, challenge)
		say(t, ws, reply)
		hear(t, ws, opened+"x")
		hearEnd(t, ws)
		if status := ws.exited(); !status.Signaled() || status.Signal() != syscall.SIGKILL {
			t.Errorf("the program ended as %v, want by SIGKILL", ws.command.ProcessState)
		}
	})
}

// The user gets a text, and cockpit-ws the same end as without the program.
func TestASessionThatEndsBeforeItIsOpenIsExplained(t *testing.T) {
	for _, test := range []struct {
		end, text, logs string
		code            int // -1: by a signal
	}{
		{"end=127", "cockpit-bridge not found", "no-cockpit: cockpit-session ended before it opened the session", 127},
		{"end=1", "The session did not start: this account's shell, or cockpit-bridge, ended at once.", "access-denied: cockpit-session ended", 1},
		{"end=3", "", "internal-error: cockpit-session ended before it opened the session", 3},
		{"end=0", "", "internal-error: cockpit-session ended before it opened the session", 0},
		{"kill", "", "cockpit-session ended by signal 9", -1},
		{"say=20 end=3", "", "unexpected EOF", 3}, // in the middle of a length
	} {
		t.Run(test.end, func(t *testing.T) {
			ws := executed(t, "challenge reply "+test.end)
			hear(t, ws, challenge)
			say(t, ws, reply)
			hearRefusal(t, ws, test.text)
			hearEnd(t, ws)
			if test.code >= 0 {
				ws.exits(test.code)
			} else if status := ws.exited(); status.Signal() != syscall.SIGKILL {
				t.Errorf("the program ended as %v, want by SIGKILL", ws.command.ProcessState)
			}
			ws.logged(test.logs)
			ws.logged("(login from ::ffff:203.0.113.7)")
		})
	}
	t.Run("behind a socket", func(t *testing.T) {
		ws, session := replied(t)
		session.Close()
		hearRefusal(t, ws, "")
		hearEnd(t, ws)
		ws.exits(5)
		ws.logged("internal-error: cockpit-session ended before it opened the session")
	})
	t.Run("unless it has opened the session", func(t *testing.T) {
		ws := executed(t, "challenge reply open say=x end=127")
		hear(t, ws, challenge)
		say(t, ws, reply)
		hear(t, ws, opened+"x")
		hearEnd(t, ws)
		ws.exits(127)
	})
	t.Run("unless it is cockpit-ws that has gone", func(t *testing.T) {
		ws, session := replied(t)
		ws.Close()
		hearEnd(t, session)
		session.Close()
		ws.exits(0)
		if said := ws.stderr.String(); said != "" {
			t.Errorf("the program complains: %q", said)
		}
	})
}

// The program may not signal a set-user-ID cockpit-session, which ends because the
// connection ends.
func TestASignalEndsAnExecutedSession(t *testing.T) {
	ws := executed(t, "challenge reply open say=xxxx echo end=0")
	hear(t, ws, challenge)
	say(t, ws, reply)
	hear(t, ws, opened+"xxxx")
	ws.command.Process.Signal(syscall.SIGTERM)
	hearEnd(t, ws)
	if status := ws.exited(); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("the program ended as %v, want by SIGTERM", ws.command.ProcessState)
	}
}

// An executed session starts with no signal ignored.
func TestTheSessionIgnoresNoSignal(t *testing.T) {
	dir := t.TempDir()
	session, ignored := filepath.Join(dir, "cockpit-session"), filepath.Join(dir, "ignored")
	script := "#!/bin/sh\nsed -n 's/^SigIgn:[[:space:]]*//p' /proc/$$/status >" + ignored + "\n"
	if err := os.WriteFile(session, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ws := launch(t, nil, "--session", session)
	hearRefusal(t, ws, "")
	ws.exits(5)
	text, err := os.ReadFile(ignored)
	if err != nil {
		t.Fatal(err)
	}
	mask, err := strconv.ParseUint(strings.TrimSpace(string(text)), 16, 64)
	if err != nil || mask&(1<<(syscall.SIGPIPE-1)) != 0 {
		t.Errorf("SIGPIPE is ignored: %s, %v", text, err)
	}
}

// A process that the session leaves behind may still write, as without the program,
// but gets no answer.
func TestAProcessThatTheSessionLeavesBehind(t *testing.T) {
	ws := executed(t, "challenge reply open heir say=x end=0")
	hear(t, ws, challenge)
	say(t, ws, reply)
	hear(t, ws, opened+"xlast words\n")
	hearEnd(t, ws)
	ws.exits(0)
}

func TestStandardStreamsMustBeStreams(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stream, ours := socketPair(t)
	defer stream.Close()
	defer ours.Close()
	for _, test := range []struct {
		stdin, stdout *os.File
		complaint     string
	}{
		{file, file, "not a stream socket"},
		{file, stream, "not the same"},
		{stream, file, "not the same"},
		{nil, stream, "not the same"}, // /dev/null
	} {
		var stderr strings.Builder
		command := exec.Command(program(t, "cockpit-cert-session"), "localhost")
		if test.stdin != nil {
			command.Stdin = test.stdin
		}
		command.Stdout, command.Stderr = test.stdout, &stderr
		if err := command.Run(); command.ProcessState.ExitCode() != 2 {
			t.Errorf("ended with %v, want exit status 2", err)
		}
		if !strings.Contains(stderr.String(), test.complaint) || !strings.Contains(stderr.String(), "cockpit.conf") {
			t.Errorf("the complaint is %q, want one about %s", &stderr, test.complaint)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		code      int
	}{
		{[]string{"--help"}, 0},
		{nil, 2},
		{[]string{"localhost", "more"}, 2},
		{[]string{"--socket", "a", "--session", "b", "localhost"}, 2},
		{[]string{"--no-such-option", "localhost"}, 2},
	} {
		command := exec.Command(program(t, "cockpit-cert-session"), test.arguments...)
		output, _ := command.CombinedOutput()
		if command.ProcessState.ExitCode() != test.code || !strings.Contains(string(output), "Usage: cockpit-cert-session") {
			t.Errorf("%q: exit status %d and %q", test.arguments, command.ProcessState.ExitCode(), output)
		}
	}
}
