// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package bus_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
)

// attackVariable makes this binary run as an attacker with the attack of that name.
const attackVariable = "PAM_COCKPIT_CERT_ATTACK"

// decoyVariable makes the attacker send its messages to a connection of its own instead.
const decoyVariable = "PAM_COCKPIT_CERT_DECOY"

// attacker is a process of a local user. The bus tells it, as every user, which
// connections are made, and it attacks each of them from its first moment to its last.
type attacker struct {
	t       testing.TB
	process *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
}

// startAttacker starts the attacker, and returns once it is watching the bus.
func startAttacker(t testing.TB, name string, uid uint32, variables ...string) *attacker {
	t.Helper()
	// A copy: only root may access the directory of the test's own binary.
	program := filepath.Join(t.TempDir(), "attacker")
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(program); dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a := &attacker{t: t, process: exec.Command(program)}
	a.process.Env = append(append(os.Environ(), attackVariable+"="+name), variables...)
	a.process.Stderr = os.Stderr
	a.process.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: uid},
		Pdeathsig:  syscall.SIGKILL,
	}
	stdin, err := a.process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := a.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.stdin, a.stdout = stdin, bufio.NewReader(stdout)
	if err := a.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.process.Process.Kill()
		_ = a.process.Wait()
	})
	if line, err := a.stdout.ReadString('\n'); err != nil {
		t.Fatalf("the attacker says %q: %v", line, err)
	}
	return a
}

// sent returns how many messages the attacker has sent to logins until now.
func (a *attacker) sent() int {
	a.t.Helper()
	if _, err := io.WriteString(a.stdin, "\n"); err != nil {
		a.t.Fatal(err)
	}
	return a.read()
}

// stop ends the attacker, and returns how many messages it has sent to logins.
func (a *attacker) stop() int {
	a.t.Helper()
	a.stdin.Close()
	return a.read()
}

func (a *attacker) read() int {
	a.t.Helper()
	line, err := a.stdout.ReadString('\n')
	if err != nil {
		a.t.Fatalf("the attacker says %q: %v", line, err)
	}
	sent, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		a.t.Fatal(err)
	}
	return sent
}

// attackers are several users.
type attackers []*attacker

// flood starts attackers whose messages the bus delivers, or has to reject.
func flood(t testing.TB, variables ...string) (all attackers) {
	t.Helper()
	for i, name := range []string{"a signal with many values", "answers, unasked", "a signal with a map from booleans"} {
		all = append(all, startAttacker(t, name, uint32(firstStranger+i), variables...))
	}
	return all
}

// stop ends all of them, and returns how many messages they have sent to logins.
func (all attackers) stop() (sent int) {
	for _, a := range all {
		sent += a.stop()
	}
	return sent
}

// attackerMain is the attacker's process.
func attackerMain(name string) error {
	watch, err := dbus.Connect(infopipe.SystemBus)
	if err != nil {
		return err
	}
	changes := make(chan *dbus.Signal, 1000)
	watch.Signal(changes)
	if err := watch.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged")); err != nil {
		return err
	}
	w := &weapon{attack: attacks[name], victims: map[string]bool{}}
	if os.Getenv(decoyVariable) != "" {
		w.decoy = watch.Names()[0]
	}
	if w.attack.hanging {
		if w.descriptor, err = syscall.Open(hangingDir+"/file", syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
			return err
		}
	}
	if err := w.join(); err != nil {
		return err
	}
	go func() {
		for change := range changes {
			var name, before, after string
			if dbus.Store(change.Body, &name, &before, &after) == nil && strings.HasPrefix(name, ":") {
				w.seen(name, after != "")
			}
		}
	}()
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		fmt.Println(w.sent.Load())
	}
	fmt.Println(w.sent.Load())
	return nil
}

// weapon sends an attack to every connection.
type weapon struct {
	attack     attack
	descriptor int
	decoy      string // the receiver in the place of every connection; empty for none

	mu      sync.Mutex
	own     string
	conn    *net.UnixConn
	victims map[string]bool

	sent atomic.Int64 // messages
}

func (w *weapon) seen(name string, there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !there {
		delete(w.victims, name)
	} else if name != w.own {
		w.victims[name] = true
		go w.assault(name)
	}
}

func (w *weapon) assault(name string) {
	messages := w.attack.messages(cmp.Or(w.decoy, name))
	for ; ; time.Sleep(500 * time.Microsecond) {
		w.mu.Lock()
		if !w.victims[name] {
			w.mu.Unlock()
			return
		}
		for _, text := range messages {
			if w.write(text) == nil {
				w.sent.Add(1)
			} else if err := w.join(); err != nil { // the bus has closed the connection
				fmt.Fprintln(os.Stderr, "the attacker cannot come back:", err)
				os.Exit(1)
			}
		}
		w.mu.Unlock()
		if w.attack.once {
			return
		}
	}
}

func (w *weapon) write(text []byte) error {
	switch {
	case w.attack.trickle:
		for i := range text {
			if _, err := w.conn.Write(text[i : i+1]); err != nil {
				return err
			}
			time.Sleep(20 * time.Microsecond)
		}
		return nil
	case w.attack.descriptor:
		_, _, err := w.conn.WriteMsgUnix(withDescriptor(text), syscall.UnixRights(w.descriptor), nil)
		return err
	default:
		_, err := w.conn.Write(text)
		return err
	}
}

// withDescriptor adds to the header that the message has a descriptor.
func withDescriptor(text []byte) []byte {
	const fixed = 16
	size := int(binary.LittleEndian.Uint32(text[12:]))
	body := text[(fixed+size+7)&^7:]
	header := append(padded(bytes.Clone(text[:fixed+size])), 9, 1, 'u', 0, 1, 0, 0, 0)
	binary.LittleEndian.PutUint32(header[12:], uint32(len(header)-fixed))
	return append(padded(header), body...)
}

// join connects to the bus, and negotiates descriptors.
func (w *weapon) join() error {
	if w.conn != nil {
		w.conn.Close()
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: strings.TrimPrefix(infopipe.SystemBus, "unix:path="), Net: "unix"})
	if err != nil {
		return err
	}
	for _, line := range []string{
		"\x00AUTH EXTERNAL " + hex.EncodeToString([]byte(strconv.Itoa(os.Getuid()))) + "\r\n", "NEGOTIATE_UNIX_FD\r\n",
	} {
		if _, err := conn.Write([]byte(line)); err != nil {
			return err
		}
		if _, err := conn.Read(make([]byte, 100)); err != nil {
			return err
		}
	}
	hello := dbus.Message{Type: dbus.TypeMethodCall, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant("org.freedesktop.DBus"),
		dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/DBus")),
		dbus.FieldInterface:   dbus.MakeVariant("org.freedesktop.DBus"),
		dbus.FieldMember:      dbus.MakeVariant("Hello"),
	}}
	text := bytes.NewBufferString("BEGIN\r\n")
	begin := text.Len()
	if err := hello.EncodeTo(text, binary.LittleEndian); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(text.Bytes()[begin+8:], 1)
	if _, err := conn.Write(text.Bytes()); err != nil {
		return err
	}
	welcome, err := dbus.DecodeMessage(conn)
	if err != nil {
		return err
	}
	if len(welcome.Body) != 1 {
		return fmt.Errorf("the bus greets with %v", welcome.Body)
	}
	w.conn, w.own = conn, fmt.Sprint(welcome.Body[0])
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	return nil
}
