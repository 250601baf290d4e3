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

// Socket is where Cockpit 330 and later offers cockpit-session.
const Socket = "/run/cockpit/session"

// Programs is where Cockpit up to 329 has the setuid cockpit-session: on
// Fedora and its kin, on Debian and its kin, on older openSUSE, on NixOS.
var Programs = []string{
	"/usr/libexec/cockpit-session",
	"/usr/lib/cockpit/cockpit-session",
	"/usr/lib/cockpit-session",
	"/run/wrappers/bin/cockpit-session",
}

// A session is Cockpit's own cockpit-session, and our connection to it.
type session struct {
	end End
	// process is nil where systemd started cockpit-session for us.
	process *os.Process
	// ended is closed when the process has ended, and state says how.
	ended chan struct{}
	state *os.ProcessState
}

// open starts the session that the options ask for, or else whichever of the
// two ways is there, the newer one first.
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
// cockpit-session takes the process that calls connect(2) for its peer, and
// that process's control group for where the certificate is. So it must be
// this process, which must stay.
func connect(path string, timeout time.Duration) (*session, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	// A listener with a full queue makes connect(2) wait, this long at most.
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

// start executes the setuid cockpit-session, with its standard input and
// output as cockpit-ws would give it: one socket.
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
		// Wait's error repeats what the state says.
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

// wait returns how the process ended; success, if it is not ours.
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

// whenEnded calls a function when the process has ended. Its children may still
// hold the socket, yet none of them speaks for it.
func (s *session) whenEnded(call func()) {
	if s.process != nil {
		go func() {
			<-s.ended
			call()
		}()
	}
}

// waitFor lets a process that nobody talks to any more end, and sees to it.
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
