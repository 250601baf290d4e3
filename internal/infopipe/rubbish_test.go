// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// strangeBus listens at a bus's address, and answers one method as no bus does.
type strangeBus struct {
	at     string // the method's name
	meddle func(conn *net.UnixConn, answer []byte)
}

const strangeUser = dbus.ObjectPath(usersPath + "/lab/1000")

// sane are the answers of a bus, and of an SSSD that knows alice.
var sane = map[string]any{
	"Hello":                  ":1.8",
	"GetNameOwner":           owner,
	"Ping":                   "PONG",
	"FindByValidCertificate": strangeUser,
	"ListByCertificate":      []dbus.ObjectPath{strangeUser},
	"name":                   dbus.MakeVariant("alice"),
	"uidNumber":              dbus.MakeVariant(uint32(1000)),
}

// listen serves until the test ends, and returns the address.
func (b strangeBus) listen(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus") // not t.TempDir: a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go b.serve(t, conn)
		}
	}()
	return "unix:path=" + path
}

func (b strangeBus) serve(t *testing.T, conn *net.UnixConn) {
	in := bufio.NewReader(conn)
	for line := ""; line != "BEGIN\r\n"; {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return
		}
	}
	_, _ = conn.Write([]byte("OK 1234\r\n"))
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		method, _ := call.Headers[dbus.FieldMember].Value().(string)
		if method == "Get" {
			method, _ = call.Body[1].(string)
		}
		sender := owner
		if call.Headers[dbus.FieldDestination].Value() == busName {
			sender = busName
		}
		value, ok := sane[method]
		if !ok {
			continue
		}
		answer := message(t, binary.LittleEndian, dbus.TypeMethodReply, call.Serial(), sender, value)
		if method == b.at {
			b.meddle(conn, answer)
		} else {
			_, _ = conn.Write(answer)
		}
	}
}

// TestWhatNoBusSends checks that, whatever the bus sends at any step of a login,
// the result is in time, and an error with a reason or the right user.
func TestWhatNoBusSends(t *testing.T) {
	const late = "did not answer in time"
	pipe, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipe.Close() })
	for title, test := range map[string]struct {
		meddle func(conn *net.UnixConn, answer []byte)
		ends   string // what the error says; "" if alice is found
	}{
		"nothing": {func(*net.UnixConn, []byte) {}, late},
		"its end": {func(conn *net.UnixConn, _ []byte) { conn.Close() }, "D-Bus"},
		"half of an answer, and its end": {func(conn *net.UnixConn, answer []byte) {
			_, _ = conn.Write(answer[:len(answer)/2])
			conn.Close()
		}, "D-Bus"},
		"what is no message": {func(conn *net.UnixConn, _ []byte) { _, _ = conn.Write([]byte(strings.Repeat("x", 100))) }, "sent rubbish"},
		"a message without an end": {func(conn *net.UnixConn, answer []byte) {
			binary.LittleEndian.PutUint32(answer[4:], 100<<20)
			_, _ = conn.Write(answer)
		}, late},
		"an answer at a snail's pace": {func(conn *net.UnixConn, answer []byte) {
			for i := range answer {
				_, _ = conn.Write(answer[i : i+1])
				time.Sleep(20 * time.Millisecond)
			}
		}, late},
		"an answer by pieces": {func(conn *net.UnixConn, answer []byte) {
			for i := range answer {
				_, _ = conn.Write(answer[i : i+1])
			}
		}, ""},
		"the answer twice": {func(conn *net.UnixConn, answer []byte) { _, _ = conn.Write(append(answer, answer...)) }, ""},
		"messages of every kind before it": {func(conn *net.UnixConn, answer []byte) {
			for kind := 1; kind < 256; kind++ {
				other := message(t, binary.BigEndian, dbus.TypeMethodReply, 5000, owner, "x")
				other[1] = byte(kind)
				_, _ = conn.Write(other)
			}
			_, _ = conn.Write(answer)
		}, ""},
		"descriptors": {func(conn *net.UnixConn, answer []byte) {
			_, _, _ = conn.WriteMsgUnix(answer, syscall.UnixRights(int(pipe.Fd()), int(pipe.Fd()), int(pipe.Fd())), nil)
		}, ""},
	} {
		for at := range sane {
			t.Run(title+" for "+at, func(t *testing.T) {
				t.Parallel()
				timeout := 20 * time.Second
				if test.ends == late {
					timeout = 600 * time.Millisecond
				}
				address := strangeBus{at, test.meddle}.listen(t)
				ctx, cancel := context.WithTimeout(context.Background(), timeout)
				defer cancel()
				start := time.Now()
				user, err := (&Client{Address: address}).FindByCertificate(ctx, "a certificate")
				if took := time.Since(start); took > timeout+5*time.Second {
					t.Errorf("took %v", took)
				}
				if test.ends == "" {
					if want := (User{"alice", 1000}); err != nil || user != want {
						t.Errorf("%+v, %v; want %+v", user, err, want)
					}
					return
				}
				checkUnavailable(t, err)
				if err != nil && !strings.Contains(err.Error(), test.ends) {
					t.Errorf("error %q, want %q in it", err, test.ends)
				}
			})
		}
	}
}

// TestOwnersThatAreNone checks that only a unique name of another connection counts as the
// owner of SSSD's name: the answers of that connection are SSSD's.
func TestOwnersThatAreNone(t *testing.T) {
	for title, owner := range map[string]string{
		"nothing": "", "SSSD's name": service, "the bus": busName, "this connection": sane["Hello"].(string), "no name": "x\ny",
	} {
		t.Run(title, func(t *testing.T) {
			bus := strangeBus{at: "GetNameOwner", meddle: func(conn *net.UnixConn, answer []byte) {
				serial := binary.LittleEndian.Uint32(answer[bytes.Index(answer, []byte{5, 1, 'u', 0})+4:])
				_, _ = conn.Write(message(t, binary.LittleEndian, dbus.TypeMethodReply, serial, busName, owner))
			}}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			user, err := (&Client{Address: bus.listen(t)}).FindByCertificate(ctx, "a certificate")
			var ours *Error
			if !errors.As(err, &ours) || ours.Outcome != Invalid || !strings.Contains(err.Error(), "as the owner of "+service) {
				t.Errorf("%+v, %v", user, err)
			}
		})
	}
}

// TestNoDescriptorIsReceived checks that a descriptor in a message is not
// received. An attacker could send one whose closing hangs, and so hold up the
// login.
func TestNoDescriptorIsReceived(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	hold := make(chan struct{})
	var once sync.Once // the question is repeated
	send := func(conn *net.UnixConn) {
		signal := message(t, binary.LittleEndian, dbus.TypeSignal, 0, owner, "x")
		_, _, _ = conn.WriteMsgUnix(signal, syscall.UnixRights(int(write.Fd())), nil)
		time.Sleep(50 * time.Millisecond) // until it is read
		write.Close()
		close(hold)
	}
	bus := strangeBus{at: "name", meddle: func(conn *net.UnixConn, _ []byte) { once.Do(func() { send(conn) }) }}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	asked := make(chan error, 1)
	address := bus.listen(t)
	go func() {
		_, err := (&Client{Address: address}).FindByCertificate(ctx, "a certificate")
		asked <- err
	}()
	<-hold
	// The pipe reports its end once no process has the writing end.
	_ = read.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := read.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the descriptor that the bus sent is open here")
	}
	cancel()
	checkUnavailable(t, <-asked)
}

// TestABusThatReadsNothing checks that the deadline holds while godbus is writing.
// A call with a large certificate fills the socket, and godbus cannot close a
// connection to which it is writing.
func TestABusThatReadsNothing(t *testing.T) {
	bus := strangeBus{at: "Ping", meddle: func(conn *net.UnixConn, answer []byte) {
		_, _ = conn.Write(answer)
		<-t.Context().Done() // the call that follows is not read
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	address := bus.listen(t)
	asked := make(chan error, 1)
	go func() {
		_, err := (&Client{Address: address}).FindByCertificate(ctx, strings.Repeat("x", 1<<20))
		asked <- err
	}()
	select {
	case err := <-asked:
		checkUnavailable(t, err)
	case <-time.After(20 * time.Second):
		t.Error("still waits")
	}
}
