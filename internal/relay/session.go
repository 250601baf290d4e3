// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Socket is the socket of cockpit-session in Cockpit 330 and later.
const Socket = "/run/cockpit/session"

// Programs are the paths of the set-user-ID cockpit-session of Cockpit up to 329:
// in Fedora and its derivatives, Debian and its derivatives, older openSUSE, NixOS.
var Programs = []string{
	"/usr/libexec/cockpit-session",
	"/usr/lib/cockpit/cockpit-session",
	"/usr/lib/cockpit-session",
	"/run/wrappers/bin/cockpit-session",
}

// A session is a cockpit-session, and the relay's connection to it.
type session struct {
	end End
	// process is nil if systemd started cockpit-session.
	process *os.Process
	// ended is closed when the process has ended, and state says how.
	ended chan struct{}
	state *os.ProcessState
}

// open starts the session by the socket or the program of the options, or else by
// the first that exists, the socket before the programs.
func (r Relay) open() (*session, error) {
	if r.Socket != "" {
		return connect(r.Socket, r.Timeout)
	}
	if r.Program != "" {
		return r.start(r.Program)
	}
	if _, err := os.Stat(Socket); !errors.Is(err, fs.ErrNotExist) {
		return connect(Socket, r.Timeout)
	}
	for _, program := range Programs {
		if _, err := os.Stat(program); err == nil {
			return r.start(program)
		}
	}
	return nil, fmt.Errorf("found neither %s nor %s: is Cockpit's web service installed, and cockpit-session.socket active?", Socket, Programs)
}

// connect connects to a listening cockpit-session.
//
// The module takes the process that calls connect(2) for cockpit-session's peer,
// and finds the certificate by that process's control group. So this process has
// to make the call, and to stay until the login is done.
func connect(path string, timeout time.Duration) (*session, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	// connect(2) waits if the listener's queue is full, but no longer than this.
	limit := syscall.NsecToTimeval(int64(timeout))
	err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit)
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("connecting to %s: %w", path, err)
	}
	end, err := sessionEnd(fd)
	if err != nil {
		return nil, err
	}
	return &session{end: end}, nil
}

// start executes the set-user-ID cockpit-session with one socket as its standard
// input and output, as cockpit-ws does.
func (r Relay) start(program string) (*session, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "cockpit-session")
	defer theirs.Close()
	end, err := sessionEnd(pair[0])
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, r.Host)
	command.Stdin = theirs
	command.Stdout = theirs
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		_ = end.Close()
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	s := &session{end: end, process: command.Process, ended: make(chan struct{})}
	go func() {
		// Wait's error says nothing more than the state.
		_ = command.Wait()
		s.state = command.ProcessState
		close(s.ended)
	}()
	return s, nil
}

func sessionEnd(fd int) (End, error) {
	end, err := OpenEnd(fd, "cockpit-session")
	if err != nil {
		_ = syscall.Close(fd)
	}
	return end, err
}

// wait returns how the process ended; success, if systemd started it.
func (s *session) wait() Status {
	if s.process == nil {
		return Status{}
	}
	<-s.ended
	if wait, ok := s.state.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
		return Status{Signal: wait.Signal()}
	}
	return Status{Code: s.state.ExitCode()}
}

// whenEnded calls a function when the process has ended. Its children may keep
// the socket open, but do not speak for it.
func (s *session) whenEnded(call func()) {
	if s.process != nil {
		go func() {
			<-s.ended
			call()
		}()
	}
}

// waitFor gives the process time to end after its connection has ended, and then
// kills it.
func (s *session) waitFor(grace time.Duration) {
	if s.process == nil {
		return
	}
	select {
	case <-s.ended:
	case <-time.After(grace):
		_ = s.process.Kill()
	}
}
