// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package hostile_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"pam_cockpit_cert/internal/relay"
)

// clientUser is cockpit-ws's uid, which belongs to no account.
const clientUser = 64123

// An attempt says how a client of cockpit-session tries to log in.
type attempt struct {
	Socket string
	// Response answers the first challenge, Answer every later prompt.
	Response, Answer string
	// Via is cockpit-cert-session, which connects in the client's place.
	Via string
	// Deserted makes the process that connected end, and another one, Heir, talk.
	Deserted, Heir bool
}

// clientMain runs in the client's process: it makes the attempt, and prints the
// outcome.
func clientMain(argument string) {
	var a attempt
	err := json.Unmarshal([]byte(argument), &a)
	if err == nil {
		err = syscall.Setgid(clientUser)
	}
	if err == nil {
		err = syscall.Setuid(clientUser)
	}
	var outcome string
	if err == nil {
		outcome, err = a.make()
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println(outcome)
	os.Exit(0)
}

func (a attempt) make() (outcome string, err error) {
	if a.Heir {
		return a.inherit()
	}
	if a.Via != "" {
		return a.via()
	}
	conn, err := net.Dial("unix", a.Socket)
	if err != nil {
		return "", err
	}
	if a.Deserted {
		return "deserted", a.desert(conn.(*net.UnixConn))
	}
	return a.talk(conn)
}

// via talks to cockpit-cert-session, like a cockpit-ws that has started it.
func (a attempt) via() (string, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	command := exec.Command(a.Via, "--socket", a.Socket, "localhost")
	command.Stdin, command.Stdout, command.Stderr = theirs, theirs, os.Stderr
	if err := command.Start(); err != nil {
		return "", err
	}
	theirs.Close()
	return a.talk(ours)
}

func (a attempt) desert(conn *net.UnixConn) error {
	file, err := conn.File()
	if err != nil {
		return err
	}
	a.Deserted, a.Heir = false, true
	argument, err := json.Marshal(a)
	if err != nil {
		return err
	}
	// Not by its path: this user may have no access to it.
	heir := exec.Command("/proc/self/exe")
	heir.Env = append(os.Environ(), clientVariable+"="+string(argument))
	heir.Stdout, heir.Stderr, heir.ExtraFiles = os.Stdout, os.Stderr, []*os.File{file}
	return heir.Start()
}

func (a attempt) inherit() (string, error) {
	for deadline := time.Now().Add(patience); os.Getppid() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return "", errors.New("who connected does not end")
		}
	}
	return a.talk(os.NewFile(3, "the deserted connection"))
}

// talk is the login.
func (a attempt) talk(conn io.ReadWriter) (outcome string, err error) {
	said := relay.NewFrameReader(conn, 1<<20)
	response := a.Response
	for range 8 { // cockpit-session asks less often
		payload, err := said.Next()
		if err != nil {
			rest, _ := io.ReadAll(conn)
			return strings.TrimSpace("ended: " + string(said.Raw()) + string(rest)), nil
		}
		var message struct{ Command, Cookie, Challenge, Problem, User string }
		if err := json.Unmarshal(payload, &message); err != nil {
			return "", fmt.Errorf("%q: %w", payload, err)
		}
		switch {
		case message.Command == "init" && message.User != "": // the bridge's
			return "in as " + message.User, nil
		case message.Command == "init":
			return "problem: " + message.Problem, nil
		case strings.HasPrefix(message.Challenge, "X-Conversation "):
			nonce := strings.Fields(message.Challenge)[1]
			response = "X-Conversation " + nonce + " " + base64.StdEncoding.EncodeToString([]byte(a.Answer))
		}
		reply, err := json.Marshal(response)
		if err != nil {
			return "", err
		}
		if _, err := conn.Write(relay.AppendFrame(nil, fmt.Appendf(nil,
			"\n"+`{"command":"authorize","cookie":%q,"response":%s}`, message.Cookie, reply))); err != nil {
			return "", err
		}
	}
	return "asked without end", nil
}
