// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/relay"
)

// TestMain lets the tests run this binary as other programs: under the name
// cockpit-cert-session it is the program, and under the name cockpit-session it
// stands in for Cockpit's, where the test needs what the real one never does. (The
// tests of booted machines use the real ones, of three releases.)
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "cockpit-cert-session":
		main()
	case "cockpit-session":
		session()
	default:
		os.Exit(m.Run())
	}
}

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// The frames of a login. cockpit-session ends its own with a line feed.
var (
	challenge = framed("\n" + `{"command":"authorize","cookie":"session1234","challenge":"*"}` + "\n")
	reply     = framed("\n" + `{"command":"authorize","cookie":"session1234","response":"tls-cert 69cbda7","remote-peer":"::ffff:203.0.113.7"}`)
	opened    = framed("\n" + `{"command":"init","version":1}`)
	rewritten = framed("\n" + `{"command":"authorize","cookie":"session1234","response":"Basic Og==","remote-peer":"::ffff:203.0.113.7"}`)
)

func framed(payload string) string { return string(relay.AppendFrame(nil, []byte(payload))) }

// session is a cockpit-session whose behaviour follows COCKPIT_SESSION, a list
// of steps.
func session() {
	fmt.Fprintf(os.Stderr, "cockpit-session: host %q, remote peer %q\n", os.Args[1:], os.Getenv("COCKPIT_REMOTE_PEER"))
	for _, step := range strings.Fields(os.Getenv("COCKPIT_SESSION")) {
		what, value, _ := strings.Cut(step, "=")
		switch what {
		case "challenge":
			fmt.Print(challenge)
		case "reply":
			if payload, err := relay.NewFrameReader(os.Stdin, 1<<20).Next(); err != nil || string(relay.AppendFrame(nil, payload)) != rewritten {
				fmt.Fprintf(os.Stderr, "cockpit-session: got %q, %v\n", payload, err)
				os.Exit(99)
			}
		case "ask":
			fmt.Print(framed("\n" + `{"command":"authorize","cookie":"c","challenge":"X-Conversation n"}`))
		case "open":
			fmt.Print(opened)
		case "say":
			fmt.Print(value)
		case "echo":
			io.Copy(os.Stdout, os.Stdin)
		case "heir":
			// leaves a process behind that has standard output open
			heir := exec.Command("/bin/sh", "-c", "read line; echo last words")
			heir.Stdin, heir.Stdout = os.Stdin, os.Stdout
			if err := heir.Start(); err != nil {
				panic(err)
			}
		case "end":
			fmt.Fprintln(os.Stderr, "cockpit-session: ends with", value)
			var code int
			fmt.Sscan(value, &code)
			os.Exit(code)
		case "kill":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "hang":
			select {}
		}
	}
}

// A cockpitWS is cockpit-ws's side of a run of the program.
type cockpitWS struct {
	*net.UnixConn
	t       testing.TB
	command *exec.Cmd
	stderr  strings.Builder
}

// launch starts the program as cockpit-ws does: one socket for its standard
// input and output, the host as last argument.
func launch(t testing.TB, environment []string, arguments ...string) *cockpitWS {
	t.Helper()
	return launchProgram(t, program(t, "cockpit-cert-session"), environment, arguments...)
}

func launchProgram(t testing.TB, path string, environment []string, arguments ...string) *cockpitWS {
	t.Helper()
	theirs, ours := socketPair(t)
	ws := &cockpitWS{UnixConn: ours, t: t}
	ws.command = exec.Command(path, append(arguments, "localhost")...)
	ws.command.Env = append(os.Environ(), environment...)
	ws.command.Stdin, ws.command.Stdout, ws.command.Stderr = theirs, theirs, &ws.stderr
	if err := ws.command.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() {
		ws.Close()
		if ws.command.ProcessState == nil {
			ws.command.Process.Kill()
			ws.command.Wait()
		}
		if t.Failed() {
			t.Logf("standard error:\n%s", &ws.stderr)
		}
	})
	return ws
}

// program is this binary under another name.
func program(t testing.TB, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func socketPair(t testing.TB) (theirs *os.File, ours *net.UnixConn) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(pair[0]), "cockpit-ws")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return os.NewFile(uintptr(pair[1]), "the program's"), conn.(*net.UnixConn)
}

// exited waits for the program's end.
func (ws *cockpitWS) exited() syscall.WaitStatus {
	ws.t.Helper()
	timer := time.AfterFunc(patience, func() {
		ws.t.Error("the program does not end")
		ws.command.Process.Kill()
	})
	defer timer.Stop()
	ws.command.Wait()
	return ws.command.ProcessState.Sys().(syscall.WaitStatus)
}

// exits waits for the program's end, and expects a code.
func (ws *cockpitWS) exits(code int) {
	ws.t.Helper()
	if status := ws.exited(); !status.Exited() || status.ExitStatus() != code {
		ws.t.Errorf("the program ended as %v, want exit status %d", ws.command.ProcessState, code)
	}
}

// logged expects a text on standard error.
func (ws *cockpitWS) logged(text string) {
	ws.t.Helper()
	if !strings.Contains(ws.stderr.String(), text) {
		ws.t.Errorf("standard error is %q, want %q in it", &ws.stderr, text)
	}
}

func say(t testing.TB, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t testing.TB, from io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != text {
		t.Fatalf("heard %q, %v, want %q", got[:n], err, text)
	}
}

func hearEnd(t testing.TB, from io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(from); len(rest) != 0 || err != nil {
		t.Fatalf("heard %q, %v, want the end", rest, err)
	}
}

// hearProblem expects one of Cockpit's messages that end a login.
func hearProblem(t testing.TB, from io.Reader, code, text string) {
	t.Helper()
	payload, err := relay.NewFrameReader(from, 1<<20).Next()
	if got := relay.ParseMessage(payload); err != nil || got.Kind != relay.Failure || got.Problem != code || !strings.Contains(got.Text, text) {
		t.Fatalf("heard %q, %v, want the problem %q about %q", payload, err, code, text)
	}
}

// hearRefusal expects exactly the text for the user that ends a login: PAM's, and what
// the program adds to it.
func hearRefusal(t testing.TB, from io.Reader, text string, added ...string) {
	t.Helper()
	payload, err := relay.NewFrameReader(from, 1<<20).Next()
	want := relay.Sentence(text, added...)
	if got := relay.ParseMessage(payload); err != nil || got.Problem != "access-denied" || got.Text != want {
		t.Fatalf("heard %q, %v, want the refusal %q", payload, err, want)
	}
}

// A listener stands in for systemd, which listens for cockpit-session.
type listener struct {
	*net.UnixListener
	path string
}

func listen(t testing.TB) listener {
	t.Helper()
	// Not t.TempDir(), whose path may be too long: a socket's path has at most 107 bytes.
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "session")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	l.SetDeadline(time.Now().Add(patience))
	return listener{l, path}
}

func (l listener) accept(t testing.TB) *net.UnixConn {
	t.Helper()
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// login goes through a login up to the data of the session.
func login(t testing.TB) (*cockpitWS, *net.UnixConn) {
	t.Helper()
	ws, session := replied(t)
	say(t, session, opened)
	hear(t, ws, opened)
	return ws, session
}

// replied goes through a login up to the reply, whose verdict is still to come.
func replied(t testing.TB) (*cockpitWS, *net.UnixConn) {
	t.Helper()
	l := listen(t)
	ws := launch(t, nil, "--socket", l.path)
	session := l.accept(t)
	say(t, session, challenge)
	hear(t, ws, challenge)
	say(t, ws, reply)
	hear(t, session, rewritten)
	return ws, session
}
