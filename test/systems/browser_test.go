// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/machine"
)

// installBrowser puts tools/browser on the machine.
func installBrowser(t *testing.T, o *machine.Overlay) {
	t.Helper()
	o.Build(t, "./tools/browser", "/usr/local/bin/browser")
}

// answer is Cockpit's answer to a login.
type answer struct {
	status string // of HTTP; 000: no TLS connection
	body   string
}

// login logs in with the certificate, or without one, and with curl's options.
func (l *lab) login(t testing.TB, certificate string, options ...string) answer {
	t.Helper()
	args := []string{"curl", "--silent", "--insecure", "--max-time", "120", "--write-out", "\n%{http_code}",
		// A cockpit-ws that was idle may end at this moment.
		"--retry", "2", "--retry-delay", "1", "--retry-all-errors"}
	if certificate != "" {
		args = append(args, "--cert", clients+certificate+".pem", "--key", clients+certificate+".key")
	}
	out, _ := l.Try(t, append(append(args, options...), "https://localhost:9090/cockpit/login")...)
	i := strings.LastIndexByte(out, '\n')
	status, body := out[i+1:], out[:max(i, 0)]
	if _, after, ok := strings.Cut(body, "<h1>"); ok { // of a whole page
		body, _, _ = strings.Cut(after, "</h1>")
	}
	return answer{status, body}
}

// expect fails the test unless the login's status is this.
func (a answer) expect(t testing.TB, status string) {
	t.Helper()
	if a.status != status {
		t.Errorf("HTTP %s instead of %s: %s", a.status, status, a.body)
	}
}

// refuses fails the test unless this certificate's login is refused. Cockpit 248 and
// later gives the user a reason, as the response's reason phrase and body. All
// processes of the login must end soon.
func (l *lab) refuses(t testing.TB, certificate, text string, options ...string) {
	t.Helper()
	got := l.login(t, certificate, options...)
	if !l.relay {
		got.expect(t, "401")
		return
	}
	got.expect(t, "403")
	const advice = "To log in with a password, use a browser profile without the certificate."
	if !strings.Contains(got.body, text) || !strings.Contains(got.body, advice) || strings.Count(got.body, advice) != 1 {
		t.Errorf("the page says %q, not %q and how to use a password", got.body, text)
	}
	eventually(t, func() string {
		out, _ := l.Try(t, "sh", "-c", "pgrep -a cockpit-session; pgrep -a -f '[c]ockpit-cert-session localhost'")
		return out
	})
}

// session is a session that tools/browser keeps open.
type session struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	errors  *bytes.Buffer
}

// open logs in with tools/browser and its options.
func (l *lab) open(t testing.TB, options ...string) (*session, error) {
	t.Helper()
	command := l.Command(t.Context(), append([]string{"browser"}, options...)...)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{command, in, bufio.NewReader(out), &bytes.Buffer{}}
	command.Stderr = s.errors
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := s.out.ReadString('\n'); line != "= in\n" {
		_ = command.Wait()
		return nil, errors.Join(err, errors.New(s.errors.String()))
	}
	return s, nil
}

// enter is open with a certificate that must be accepted.
func (l *lab) enter(t testing.TB, certificate string) *session {
	t.Helper()
	s, err := l.open(t, "-cert", clients+certificate+".pem")
	if err != nil {
		t.Fatalf("logging in with %s's certificate: %v", certificate, err)
	}
	return s
}

// enterWithPassword is open with the user's password.
func (l *lab) enterWithPassword(t testing.TB, user string) *session {
	t.Helper()
	s, err := l.open(t, "-user", user+":"+password)
	if err != nil {
		t.Fatalf("logging in with %s's password: %v", user, err)
	}
	return s
}

// do runs a command in the session, and returns its output.
func (s *session) do(t testing.TB, command string) string {
	t.Helper()
	if _, err := io.WriteString(s.in, command+"\n"); err != nil {
		t.Fatalf("%s: %v: %s", command, err, s.errors)
	}
	var out strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, s.errors)
		}
		switch before, status, ok := strings.Cut(line, "= "); {
		case !ok:
			out.WriteString(line)
		default:
			out.WriteString(before) // of output without an end of line
			if status != "0\n" {
				t.Fatalf("%s: status %s%s", command, status, &out)
			}
			return out.String()
		}
	}
}

// logout ends the session as its user does.
func (s *session) logout(t testing.TB) {
	t.Helper()
	_ = s.in.Close()
	if err := s.command.Wait(); err != nil {
		t.Errorf("logging out: %v: %s", err, s.errors)
	}
}

// abandon ends tools/browser, whose session has ended.
func (s *session) abandon() {
	_ = s.in.Close()
	_ = s.command.Wait()
}

// patience is how long a test waits, on a busy machine, for what must happen soon.
const patience = time.Minute

// eventually waits until wrong returns "".
func eventually(t testing.TB, wrong func() string) {
	t.Helper()
	var problem string
	if !within(func() bool { problem = wrong(); return problem == "" }) {
		t.Fatalf("after %v: %s", patience, problem)
	}
}

// within tells whether something becomes true soon.
func within(fine func() bool) bool {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if fine() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
