// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/oldkernel"
)

// Environment variables that give this test program a role: a process that the
// tests look at, or a test on a kernel that answers SO_PEERPIDFD with that error.
const (
	envRole         = "CLIENTCERT_TEST_ROLE"
	envWithoutPidfd = "CLIENTCERT_TEST_WITHOUT_PIDFD"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		os.Unsetenv(envRole)
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	if number := os.Getenv(envWithoutPidfd); number != "" {
		answer, err := strconv.ParseUint(number, 10, 12)
		if err == nil {
			err = oldkernel.RefusePeerPidfd(syscall.Errno(answer))
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

var roles = map[string]func(args []string) error{
	// sleep waits until its standard input ends.
	"sleep": func([]string) error {
		fmt.Println("ready")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	},
	// connect holds a connection to a socket.
	"connect": func(args []string) error {
		connection, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		defer connection.Close()
		fmt.Println("ready")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	},
	// find calls Find for itself, once its standard input says so.
	"find": func(args []string) error {
		fmt.Println("ready")
		if _, err := os.NewFile(3, "control").Read(make([]byte, 1)); err != nil {
			return err
		}
		fmt.Println(outcome(Source{Proc: args[0], TLSDir: args[1]}.Find(context.Background())))
		return nil
	},
}

// outcome names a result of Find: the instance, or the kind of error.
func outcome(c Certificate, err error) string {
	var rejected *RejectedError
	switch {
	case err == nil:
		return c.Instance
	case errors.Is(err, ErrNone) && !errors.As(err, &rejected):
		return "none"
	case errors.As(err, &rejected) && !errors.Is(err, ErrNone):
		return "rejected"
	default:
		return "failed"
	}
}

// find calls Find, which must leave no descriptor behind.
func find(t *testing.T, s Source) string {
	t.Helper()
	before := descriptors(t)
	c, err := s.Find(context.Background())
	t.Logf("%v", err)
	if after := descriptors(t); before != after {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	return outcome(c, err)
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// child is this program in one of its roles.
type child struct {
	*exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
}

func startChild(t *testing.T, role string, args ...string) child {
	t.Helper()
	command := exec.Command(executable(t), args...)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, role, command, stdin)
}

func start(t *testing.T, role string, command *exec.Cmd, stdin io.Closer) child {
	t.Helper()
	command.Env = append(os.Environ(), envRole+"="+role)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := child{command, stdin, bufio.NewReader(stdout)}
	t.Cleanup(c.end)
	if line := c.line(t); line != "ready" {
		t.Fatalf("%s: %s", role, line)
	}
	return c
}

// line returns the next that the child prints.
func (c child) line(t *testing.T) string {
	t.Helper()
	line, err := c.stdout.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// end lets the child exit, and reaps it.
func (c child) end() {
	c.stdin.Close()
	_ = c.Wait()
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// listen returns a listening Unix socket. Its path is short: there is room for
// 107 bytes.
func listen(t *testing.T) *net.UnixListener {
	t.Helper()
	dir, err := os.MkdirTemp("", "cc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// connected starts a process that connects, and returns our end of it.
func connected(t *testing.T) (peer child, stdin int) {
	t.Helper()
	listener := listen(t)
	peer = startChild(t, "connect", listener.Addr().String())
	connection, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return peer, descriptor(t, connection)
}

func descriptor(t *testing.T, c interface{ File() (*os.File, error) }) int {
	t.Helper()
	file, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return int(file.Fd())
}

// procDir is a directory in place of /proc, in which the test chooses the control
// groups of real processes.
type procDir string

func newProc(t *testing.T) procDir { return newProcIn(t.TempDir()) }

func newProcIn(dir string) procDir {
	proc := procDir(dir)
	proc.write("1", "0::/init.scope\n")
	proc.write("self", "0::/system.slice/cockpit-session@1.service\n")
	must(os.Symlink(Proc+"/self/fdinfo", filepath.Join(dir, "self/fdinfo"))) // has the real PID of a pidfd
	return proc
}

func (p procDir) write(process, cgroup string) {
	must(os.MkdirAll(filepath.Join(string(p), process), 0o755))
	must(os.WriteFile(filepath.Join(string(p), process, "cgroup"), []byte(cgroup), 0o644))
}

// place gives a real process a control group.
func (p procDir) place(pid int, cgroup string) {
	p.write(strconv.Itoa(pid), "0::"+cgroup+"\n")
}

// hold returns a Holder as for a process that was seen to hold the connection.
func (p procDir) hold(t *testing.T, pid int) int {
	t.Helper()
	held, err := openProcess(string(p), strconv.Itoa(pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.close)
	return held.fd
}

// export returns a directory with the certificates of alice and bob in it, as
// Cockpit exports them today.
func export(t *testing.T) string {
	dir := t.TempDir()
	write(dir, "clients/1", header(certificateAlice.Fingerprint())+string(certificateAlice.PEM()))
	write(dir, "clients/2", header(certificateBob.Fingerprint())+string(certificateBob.PEM()))
	return dir
}

func write(dir, name, text string) {
	must(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// againWithoutPidfd runs the test again, on a kernel that gives this answer to SO_PEERPIDFD.
func againWithoutPidfd(t *testing.T, kernel string, answer unix.Errno) {
	if os.Getenv(envWithoutPidfd) != "" {
		return
	}
	t.Run(kernel, func(t *testing.T) {
		command := exec.Command(executable(t), "-test.v", "-test.run=^"+strings.SplitN(t.Name(), "/", 2)[0]+"$")
		command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", envWithoutPidfd, answer))
		command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		} else {
			t.Logf("\n%s", out)
		}
	})
}

// patience returns the condition of a loop that waits for something. It fails
// the test after ten seconds.
func patience(t *testing.T) func() bool {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	return func() bool {
		t.Helper()
		if time.Now().After(end) {
			t.Fatal("waited for too long")
		}
		return true
	}
}
