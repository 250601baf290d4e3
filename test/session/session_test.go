// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package session_test runs cockpit-cert-session with Cockpit's own set-user-ID
// cockpit-session, as cockpit-ws 248 to 329 does: without privileges, and with PAM
// stacks that need neither a certificate nor SSSD.
package session_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/relay"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// The set-user-ID program of Debian's cockpit-ws up to 329, and its group.
const (
	cockpitSession = "/usr/lib/cockpit/cockpit-session"
	group          = "cockpit-wsinstance"
)

// bin is the directory in which cockpit-session first looks for cockpit-bridge;
// empty here.
const bin = "/usr/local/bin"

// patience is how long a test waits for what must happen soon.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	// cockpit-session records logins, also failed ones, in /var/log.
	namespace.Main(m, "/var/log", bin)
}

// The login page shows PAM's own text about a refused login. (With a missing user
// name instead of an empty one, cockpit-session would crash before it tells the
// text of the first of these.)
func TestPAMRefuses(t *testing.T) {
	said := func(name, text string) (path string) {
		path = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := strings.Repeat(`The system is "down". `, 10000)
	for _, test := range []struct{ name, auth, text string }{
		{"it denies", "required pam_deny.so", "Authentication failure"},
		{"it knows no such user", "required pam_unix.so nodelay", "User not known to the underlying authentication module"},
		// pam_permit sets the user "nobody" if there is none, who has no shell.
		{"it lets in who may not", "required pam_permit.so", "Permission denied"},
		{"it fails", "required pam_no_such_module.so", "Module is unknown"},
		{"it says why, in words that cockpit-session may not escape",
			"required pam_nologin.so file=" + said("notice", "System is \"down\".\n\tUntil 8:00"), `System is "down". Until 8:00`},
		{"it says why, at length", "required pam_nologin.so file=" + said("long", long), long},
		// The first module uses the empty password up, as pam_cockpit_cert does.
		{"it asks for a new password",
			"optional pam_unix.so nodelay\nauth required pam_permit.so\naccount required pam_debug.so acct=new_authtok_reqd\npassword required pam_unix.so",
			"acct=new_authtok_reqd Changing password for nobody. This login needs an answer, which Cockpit does not take along with a certificate."},
	} {
		t.Run(test.name, func(t *testing.T) {
			ws := login(t, test.auth)
			ws.refused(test.text)
			ws.exits(5)
		})
	}
}

// Logins that end with a question, which nobody can answer, leave no process behind.
func TestRefusedOften(t *testing.T) {
	const logins = 200
	service(t, "optional pam_unix.so nodelay\nauth required pam_permit.so\naccount required pam_debug.so acct=new_authtok_reqd\npassword required pam_unix.so")
	names := []string{"cockpit-session", "cockpit-cert-se"}
	before := processes(t, names...) // of other tests
	for range logins {
		ws := launchRelay(t)
		ws.refused("acct=new_authtok_reqd Changing password for nobody. This login needs an answer, which Cockpit does not take along with a certificate.")
		ws.exits(5)
		ws.Close()
	}
	var left []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = slices.DeleteFunc(processes(t, names...), func(path string) bool { return slices.Contains(before, path) })
		if len(left) == 0 {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("after %d logins, %d processes are left: %v", logins, len(left), left)
	}
	shellForNobody(t)
	bridge(t, opens+"echo here")
	login(t, "required pam_permit.so").hear(opened + "here\n")
}

// processes returns those with these names, also of those that have ended, but for
// which nobody has waited.
func processes(t testing.TB, names ...string) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range all {
		text, _ := os.ReadFile(path) // no text if it has just gone
		if slices.Contains(names, strings.TrimSpace(string(text))) {
			found = append(found, path)
		}
	}
	return found
}

// Until the end of a session the data of the bridge and cockpit-ws is passed on, and
// the program ends when cockpit-session does, with the same status.
func TestASession(t *testing.T) {
	shellForNobody(t)
	bridge(t, opens+`id -un; exec cat`)
	ws := login(t, "required pam_permit.so")
	ws.hear(opened + "nobody\n")
	ws.say("\x00 anything \xff")
	ws.hear("\x00 anything \xff")
	ws.CloseWrite()
	ws.hearEnd()
	ws.exits(0)
}

func TestTheBridgeFails(t *testing.T) {
	shellForNobody(t)
	t.Run("with a status", func(t *testing.T) {
		bridge(t, opens+"echo something; exit 9")
		ws := login(t, "required pam_permit.so")
		ws.hear(opened + "something\n")
		ws.hearEnd()
		ws.exits(9)
	})
	t.Run("by a signal", func(t *testing.T) {
		bridge(t, opens+"echo something; kill -KILL $$")
		ended := func(ws *cockpitWS) string {
			ws.hear(opened + "something\n")
			ws.hearEnd()
			ws.wait()
			return ws.program.ProcessState.String()
		}
		got, want := ended(login(t, "required pam_permit.so")), ended(loginWithout(t, "required pam_permit.so"))
		if got != want {
			t.Errorf("cockpit-ws sees %q, and without cockpit-cert-session %q", got, want)
		}
	})
	t.Run("before it has begun", func(t *testing.T) {
		bridge(t, "exit 9")
		ws := login(t, "required pam_permit.so")
		ws.refused("")
		ws.exits(9)
	})
	t.Run("for it says something else", func(t *testing.T) {
		bridge(t, "echo Welcome; exec cat")
		ws := login(t, "required pam_permit.so")
		ws.refused("")
		ws.exits(5)
	})
	t.Run("for it is not there", func(t *testing.T) {
		if path, err := exec.LookPath("cockpit-bridge"); err == nil {
			t.Skipf("there is a %s", path)
		}
		ws := login(t, "required pam_permit.so")
		ws.refused("cockpit-bridge not found")
		ws.exits(127)
	})
}

// The relay may not signal cockpit-session, which runs as root. When a signal ends
// the relay, its connection ends, and cockpit-session closes the session in order.
func TestASignal(t *testing.T) {
	shellForNobody(t)
	bridge(t, opens+`echo here; cat; echo over >`+bin+`/over`)
	if err := os.Chmod(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	ws := login(t, "required pam_permit.so")
	ws.hear(opened + "here\n")
	if err := ws.program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ws.hearEnd()
	_ = ws.program.Wait()
	if status, _ := ws.program.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("the program ended as %v, want by SIGTERM", ws.program.ProcessState)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(bin, "over")); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the bridge did not end by itself: %v", err)
		}
	}
}

// shellForNobody gives the user nobody a shell, so that it can log in.
func shellForNobody(t testing.TB) {
	t.Helper()
	namespace.Need(t)
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if fields := strings.Split(line, ":"); fields[0] == "nobody" {
			fields[5], fields[6] = "/", "/bin/sh\n"
			lines[i] = strings.Join(fields, ":")
		}
	}
	changed := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(changed, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(changed, "/etc/passwd", "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount("/etc/passwd", syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// opens is a part of a bridge's script that opens the session, and opened is what it says.
const (
	opens  = `printf '` + opened + `'; `
	opened = "31\n\n" + `{"command":"init","version":1}`
)

// bridge replaces cockpit-bridge by a script.
func bridge(t testing.TB, script string) {
	t.Helper()
	path := filepath.Join(bin, "cockpit-bridge")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}

// cockpitWS is cockpit-ws's side of a session.
type cockpitWS struct {
	*net.UnixConn
	t       testing.TB
	said    *relay.FrameReader
	program *exec.Cmd
}

// login logs in by certificate, with a PAM service whose auth stack is given.
func login(t testing.TB, auth string) *cockpitWS {
	t.Helper()
	service(t, auth)
	return launchRelay(t)
}

// service replaces Cockpit's PAM service.
func service(t testing.TB, auth string) {
	t.Helper()
	namespace.Need(t)
	namespace.Copy(t, "/etc/pam.d")
	pamhost.Service(t, "/etc/pam.d", "cockpit", "auth "+auth+"\naccount required pam_permit.so\nsession required pam_permit.so\n")
}

func launchRelay(t testing.TB) *cockpitWS {
	t.Helper()
	return launch(t, "tls-cert 0123", pamhost.Anyones(t, "cockpit-cert-session"), "--session", cockpitSession, "localhost")
}

// loginWithout runs cockpit-session itself, with the reply that it gets from
// cockpit-cert-session.
func loginWithout(t testing.TB, auth string) *cockpitWS {
	t.Helper()
	service(t, auth)
	return launch(t, "Basic Og==", cockpitSession, "localhost")
}

// launch starts a program as cockpit-ws does, and gives this response to its challenge.
func launch(t testing.TB, response, program string, arguments ...string) *cockpitWS {
	t.Helper()
	if info, err := os.Stat(cockpitSession); errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&os.ModeSetuid == 0 {
		t.Skipf("needs the setuid %s of Cockpit up to 329", cockpitSession)
	}
	wsGroup, err := user.LookupGroup(group)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(wsGroup.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "cockpit-ws"), os.NewFile(uintptr(pair[1]), "the program's")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ws := &cockpitWS{UnixConn: conn.(*net.UnixConn), t: t, said: relay.NewFrameReader(conn, 1<<20)}
	ws.SetDeadline(time.Now().Add(patience))
	ws.program = exec.Command(program, arguments...)
	ws.program.Stdin, ws.program.Stdout, ws.program.Stderr = theirs, theirs, os.Stderr
	// A uid that belongs to no account, in place of cockpit-ws's.
	ws.program.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64123, Gid: uint32(gid)}}
	if err := ws.program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ws.Close()
		if ws.program.ProcessState == nil {
			ws.program.Process.Kill()
			ws.program.Wait()
		}
	})

	payload, err := ws.said.Next()
	if err != nil {
		t.Fatal(err)
	}
	challenge := relay.ParseMessage(payload)
	if challenge.Kind != relay.Challenge {
		t.Fatalf("cockpit-session begins with %q", payload)
	}
	ws.say(string(relay.AppendFrame(nil, []byte("\n"+`{"command":"authorize","cookie":"`+challenge.Cookie+`","response":"`+response+`"}`))))
	return ws
}

func (ws *cockpitWS) say(text string) {
	ws.t.Helper()
	if _, err := io.WriteString(ws, text); err != nil {
		ws.t.Fatal(err)
	}
}

func (ws *cockpitWS) hear(text string) {
	ws.t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(ws, got); err != nil || string(got) != text {
		ws.t.Fatalf("heard %q, %v, want %q", got[:n], err, text)
	}
}

func (ws *cockpitWS) hearEnd() {
	ws.t.Helper()
	if rest, err := io.ReadAll(ws); len(rest) > 0 || err != nil {
		ws.t.Fatalf("heard %q, %v, want the end", rest, err)
	}
}

// refused expects the login to end with this text, without a prompt before.
func (ws *cockpitWS) refused(text string) {
	ws.t.Helper()
	ws.problem("access-denied", relay.Sentence(text))
}

func (ws *cockpitWS) problem(code, text string) {
	ws.t.Helper()
	payload, err := ws.said.Next()
	if got := relay.ParseMessage(payload); err != nil || got.Problem != code || got.Text != text {
		ws.t.Fatalf("heard %q, %v, want the problem %s: %s", payload, err, code, text)
	}
}

// wait waits for the program's end.
func (ws *cockpitWS) wait() {
	timer := time.AfterFunc(patience, func() { ws.program.Process.Kill() })
	defer timer.Stop()
	ws.program.Wait()
}

// exits expects the program to end with an exit status.
func (ws *cockpitWS) exits(code int) {
	ws.t.Helper()
	ws.wait()
	if got := ws.program.ProcessState.ExitCode(); got != code {
		ws.t.Errorf("the program ended as %v, want exit status %d", ws.program.ProcessState, code)
	}
}

// If the module cannot find out which user has the certificate, the login ends with
// its message, and PAM does not run the modules after it, which have no user name.
func TestLaterModulesAreNotRunInVain(t *testing.T) {
	namespace.Need(t)
	if err := os.MkdirAll("/run/cockpit/tls", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/run/cockpit/tls/fault", []byte("exit silently"), 0o644); err != nil {
		t.Fatal(err)
	}
	asked := filepath.Join(t.TempDir(), "asked")
	ws := login(t, "[success=done user_unknown=die default=ignore] "+pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")+
		"\nauth optional pam_exec.so /bin/touch "+asked+"\nauth required pam_permit.so")
	ws.refused("This system failed to look up the certificate; its log has the reason.")
	ws.exits(5)
	if _, err := os.Stat(asked); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a module behind ours was asked: %v", err)
	}
}
