// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// peerInstance returns the instance of cockpit-ws at the other end of standard
// input. A peer's PID alone does not identify it: a hostile cockpit-ws can leave
// its connection to a child, exit, and wait until another user's cockpit-ws gets
// its PID; the attacker would then be logged in as that user. So the process
// with the PID must also prove to be the one that connected.
func (s Source) peerInstance() (string, error) {
	who, err := peerOf(s.Stdin)
	if err != nil {
		return "", err
	}
	defer who.close()

	p, err := openProcess(s.Proc, strconv.Itoa(who.pid))
	if err != nil {
		return "", who.unreadable(err)
	}
	defer p.close()
	groups, err := p.cgroups()
	if err != nil {
		return "", who.unreadable(err)
	}
	instance, err := s.instanceOf(groups)
	if err != nil {
		return "", err
	}
	switch instance {
	case "":
		return "", none("neither this process nor standard input's peer is in an instance of cockpit-ws")
	case withoutCertificate:
		return instance, nil
	}
	if who.pidfd >= 0 || who.exited {
		err = who.stillThere()
		if err == nil {
			err = who.numbered(s.Proc)
		}
	} else {
		err = s.heldBy(who, instance)
	}
	return instance, err
}

// peer is the process that connected to a socket.
type peer struct {
	pid    int
	pidfd  int  // -1: it has exited, or the kernel gives none
	exited bool // another process may have its PID
}

func (p peer) close() {
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
	}
}

// peerOf asks the kernel which process connected to fd, or made the socket pair.
// The error is ErrNone unless fd is a connected Unix socket.
func peerOf(fd int) (peer, error) {
	// A listening socket has credentials too, namely its own; but it has no peer's address.
	address, err := unix.Getpeername(fd)
	if err != nil {
		return peer{}, none("standard input is not a connected socket (%v)", err)
	}
	if _, ok := address.(*unix.SockaddrUnix); !ok {
		return peer{}, none("standard input is not a Unix socket")
	}
	credentials, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return peer{}, fmt.Errorf("asking for standard input's peer: %w", err)
	}
	if credentials.Pid <= 0 { // datagrams, or another PID namespace
		return peer{}, none("standard input's peer has no PID in this PID namespace")
	}

	// The kernel takes PID and pidfd from the same field of the socket, which it
	// sets once, when the socket is connected.
	who := peer{pid: int(credentials.Pid), pidfd: -1}
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	switch err {
	case nil:
		who.pidfd = pidfd
	case unix.ENOPROTOOPT: // before Linux 6.5
	case unix.ESRCH, unix.EINVAL: // reaped; since Linux 6.16 the kernel gives a pidfd all the same
		who.exited = true
	default:
		return peer{}, fmt.Errorf("pinning standard input's peer: %w", err)
	}
	return who, nil
}

// stillThere proves that the peer has not exited, so that no other process has
// had its PID. A pidfd becomes readable when its process exits.
func (p peer) stillThere() error {
	if p.exited {
		return errExited
	}
	fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("pinning standard input's peer: %w", err)
		case n > 0:
			return errExited
		default:
			return nil
		}
	}
}

// numbered proves that proc(5) has the peer's PID as its number, too. It does not if it
// shows the processes of another PID namespace than this process's: there another
// process has the number, perhaps in another user's instance.
func (p peer) numbered(proc string) error {
	self, err := openProcess(proc, "self")
	if err != nil {
		return fmt.Errorf("reading the number of standard input's peer: %w", err)
	}
	defer self.close()
	text, err := self.text("fdinfo/" + strconv.Itoa(p.pidfd)) // see pidfd_open(2)
	if err != nil {
		return fmt.Errorf("reading the number of standard input's peer: %w", err)
	}
	if !strings.Contains(text, fmt.Sprintf("\nPid:\t%d\n", p.pid)) {
		return fmt.Errorf("%s has the processes of another PID namespace: mount the login process's own", proc)
	}
	return nil
}

var errExited = &RejectedError{Reason: "the cockpit-ws that connected has exited, and its number can be another's by now"}

// heldBy proves, where the kernel has no pidfd for a peer, that the process with
// the peer's PID holds the other end of standard input. An attacker may let the
// process that connected exit, and wait until another user's cockpit-ws gets its
// PID: that process does not hold the other end.
func (s Source) heldBy(who peer, instance string) error {
	switch {
	case s.Holder == -int(unix.ESRCH):
		return &RejectedError{Reason: fmt.Sprintf("process %d, which has the number of the one that connected, "+
			"does not hold this connection", who.pid)}
	case s.Holder < 0:
		return fmt.Errorf("asking the kernel who holds the other end of standard input "+
			"(it needs its module unix_diag): %w", unix.Errno(-s.Holder))
	case s.Holder == 0:
		return errors.New("this kernel cannot pin standard input's peer, and no process was seen to hold the connection")
	}
	holder := process{s.Holder, fmt.Sprintf("%s/%d", s.Proc, who.pid)}
	groups, err := holder.cgroups()
	if gone(err) {
		return errExited
	}
	if err != nil {
		return fmt.Errorf("reading the control group of standard input's peer: %w", err)
	}
	held, err := s.instanceOf(groups)
	if err != nil {
		return err
	}
	if held != instance {
		return errExited
	}
	return nil
}

// unreadable tells a peer that has exited from one that hidepid hides.
func (p peer) unreadable(err error) error {
	hidden := ""
	if gone(err) {
		if p.exited || !p.exists() {
			return none("standard input's peer has exited")
		}
		hidden = " (it is hidden: is /proc mounted with hidepid?)"
	}
	return fmt.Errorf("reading the control group of standard input's peer%s: %w", hidden, err)
}

// exists tells whether the process exists, without proc(5).
func (p peer) exists() bool {
	if p.pidfd >= 0 {
		return !errors.Is(p.stillThere(), errExited)
	}
	return unix.Kill(p.pid, 0) != unix.ESRCH
}
