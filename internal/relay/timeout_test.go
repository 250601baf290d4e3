// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const asks = "\n" + `{"command":"authorize","cookie":"c","challenge":"*"}` + "\n"

// A party that stops in the middle, or never begins, ends the login in time.
func TestTimeout(t *testing.T) {
	framed := func(payload string) string { return string(AppendFrame(nil, []byte(payload))) }
	for _, test := range []struct {
		name               string
		session, cockpitWS string
		about              string
	}{
		{"cockpit-session says nothing", "", "", "cockpit-session did not"},
		{"cockpit-session stops inside a length", "12", "", "cockpit-session did not"},
		{"cockpit-session stops inside a frame", "12\nabc", "", "cockpit-session did not"},
		{"cockpit-ws says nothing", framed(asks), "", "cockpit-ws did not"},
		{"cockpit-ws stops inside a length", framed(asks), "12", "cockpit-ws did not"},
		{"cockpit-ws stops inside a frame", framed(asks), "12\n\n{", "cockpit-ws did not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "session")
			listener, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			ended := make(chan []byte, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				io.WriteString(conn, test.session)
				heard, _ := io.ReadAll(conn)
				ended <- heard
			}()

			near, ws := socketPair(t)
			io.WriteString(ws, test.cockpitWS)
			var log bytes.Buffer
			status := Relay{Socket: path, Timeout: 2 * time.Second, Log: &log}.Run(near)
			if status != (Status{Code: 5}) {
				t.Errorf("ended with %+v, want exit status 5", status)
			}
			told, _ := io.ReadAll(ws)
			if !strings.Contains(string(told), `"problem":"access-denied","message":"`+Sentence("")) {
				t.Errorf("cockpit-ws was told %q", told)
			}
			if !strings.Contains(log.String(), "timeout: "+test.about) {
				t.Errorf("logged %q", &log)
			}
			if heard := <-ended; len(heard) != 0 {
				t.Errorf("cockpit-session was told %q", heard)
			}
		})
	}
}

// After the reply, PAM and the user may take whatever time they need.
func TestNoTimeoutAfterTheLogin(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "session")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, ws := socketPair(t)
	const timeout = 2 * time.Second
	ended := make(chan Status, 1)
	go func() { ended <- Relay{Socket: path, Timeout: timeout, Log: io.Discard}.Run(near) }()

	session, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	session.SetDeadline(time.Now().Add(patience))
	session.Write(AppendFrame(nil, []byte(asks)))
	ws.Write(AppendFrame(nil, []byte("\n"+`{"command":"authorize","cookie":"c","response":"tls-cert"}`)))
	if _, err := NewFrameReader(session, 1000).Next(); err != nil {
		t.Fatal(err)
	}
	select {
	case status := <-ended:
		t.Fatalf("the session ended with %+v", status)
	case <-time.After(timeout + timeout/2):
	}
	session.Close()
	if status := <-ended; status != (Status{Code: 5}) {
		t.Errorf("ended with %+v, want exit status 5", status)
	}
}

// A cockpit-session that does not end does not keep the login from ending.
func TestASessionThatDoesNotEnd(t *testing.T) {
	program := filepath.Join(t.TempDir(), "cockpit-session")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	near, ws := socketPair(t)
	began := time.Now()
	status := Relay{Program: program, Timeout: 100 * time.Millisecond, Log: io.Discard}.Run(near)
	if status != (Status{Code: 5}) {
		t.Errorf("ended with %+v, want exit status 5", status)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
	if told, _ := io.ReadAll(ws); !strings.Contains(string(told), Sentence("")) {
		t.Errorf("cockpit-ws was told %q", told)
	}
}

// Nor does a listener that accepts no connection.
func TestAListenerThatAcceptsNoConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	// Fill its queue.
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()

	near, ws := socketPair(t)
	var log bytes.Buffer
	ended := make(chan Status, 1)
	go func() {
		ended <- Relay{Socket: path, Timeout: 100 * time.Millisecond, Log: &log}.Run(near)
	}()
	select {
	case status := <-ended:
		if status != (Status{Code: 5}) {
			t.Errorf("ended with %+v, want exit status 5", status)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if told, _ := io.ReadAll(ws); !strings.Contains(string(told), Sentence("")) {
		t.Errorf("cockpit-ws was told %q", told)
	}
	if !strings.Contains(log.String(), "internal-error: connecting to "+path) {
		t.Errorf("logged %q", &log)
	}
}

// socketPair returns the two ends of a socket pair as cockpit-ws makes it: the
// command's, and its own.
func socketPair(t *testing.T) (End, net.Conn) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	end, err := OpenEnd(pair[0], "near")
	if err != nil {
		t.Fatal(err)
	}
	other := os.NewFile(uintptr(pair[1]), "cockpit-ws")
	conn, err := net.FileConn(other)
	other.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end.Close()
		conn.Close()
	})
	conn.SetDeadline(time.Now().Add(patience))
	return end, conn
}
