// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

var (
	errNoPeer    = errors.New("standard input is not a connected Unix socket")
	errPeerEnded = errors.New("the process at the other end of standard input has ended")
	errPeerLater = errors.New("the process at the other end of standard input is younger than this login: " +
		"another one had its number when it connected")
)

// soPeerPIDFD is SO_PEERPIDFD, since Linux 6.5; the same number on every
// architecture that systemd and Go have in common.
const soPeerPIDFD = 77

// peerCgroups returns the control groups of the process that connected to the
// socket, see unix(7). They are that process's beyond doubt: a number alone
// could be another's by now, if a hostile cockpit-ws hands its connection on
// and exits. errNoPeer, errPeerEnded and errPeerLater say why there are none.
func (s Source) peerCgroups() (cgroups, error) {
	if err := connectedUnixSocket(s.Stdin); err != nil {
		return cgroups{}, err
	}
	pidfd, err := unix.GetsockoptInt(s.Stdin, unix.SOL_SOCKET, soPeerPIDFD)
	switch {
	case err == nil:
		defer unix.Close(pidfd)
		return s.pinnedCgroups(pidfd)
	case errors.Is(err, unix.ENOPROTOOPT):
		return s.datedCgroups()
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ESRCH): // the former before Linux 6.16
		return cgroups{}, errPeerEnded
	case errors.Is(err, unix.ENODATA):
		return cgroups{}, errNoPeer
	default:
		return cgroups{}, fmt.Errorf("asking for standard input's peer: %w", err)
	}
}

// connectedUnixSocket returns errNoPeer for every other kind of file.
func connectedUnixSocket(fd int) error {
	for _, option := range []struct{ name, want int }{
		{unix.SO_DOMAIN, unix.AF_UNIX},
		{unix.SO_TYPE, unix.SOCK_STREAM},
		{unix.SO_ACCEPTCONN, 0},
	} {
		value, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option.name)
		switch {
		case errors.Is(err, unix.ENOTSOCK), errors.Is(err, unix.EBADF):
			return errNoPeer
		case err != nil:
			return fmt.Errorf("looking at standard input: %w", err)
		case value != option.want:
			return errNoPeer
		}
	}
	credentials, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return fmt.Errorf("asking for standard input's peer: %w", err)
	}
	if credentials.Pid == 0 { // not connected, or from another PID namespace
		return errNoPeer
	}
	return nil
}

// pinnedCgroups reads while a pidfd holds the process: if it has not ended
// after the reading, its number was its own all the while.
func (s Source) pinnedCgroups(pidfd int) (cgroups, error) {
	pid, err := pidOf(pidfd)
	if err != nil {
		return cgroups{}, err
	}
	found, readErr := readCgroups(s.Proc, strconv.Itoa(pid))
	ended, err := hasEnded(pidfd)
	if err != nil {
		return cgroups{}, err
	}
	if ended {
		return cgroups{}, errPeerEnded
	}
	return found, readErr
}

// pidOf reads the line Pid of /proc/self/fdinfo/N, see pidfd_open(2): -1 once
// the process has been reaped, 0 in another PID namespace.
func pidOf(pidfd int) (int, error) {
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
	if err != nil {
		return 0, fmt.Errorf("asking for standard input's peer: %w", err)
	}
	for _, line := range bytes.Split(info, []byte("\n")) {
		value, ok := bytes.CutPrefix(line, []byte("Pid:"))
		if !ok {
			continue
		}
		pid, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		switch {
		case err != nil:
			return 0, fmt.Errorf("asking for standard input's peer: %w", err)
		case pid < 0:
			return 0, errPeerEnded
		case pid == 0:
			return 0, errNoPeer
		}
		return pid, nil
	}
	return 0, errors.New("asking for standard input's peer: the kernel does not tell a pidfd's process")
}

func hasEnded(pidfd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("looking whether standard input's peer has ended: %w", err)
		}
		return n > 0, nil
	}
}

// datedCgroups is for kernels without SO_PEERPIDFD. The PAM host is started
// for each connection, so that a process which is older than it is the one
// that connected, and not a later one with its number.
func (s Source) datedCgroups() (cgroups, error) {
	credentials, err := unix.GetsockoptUcred(s.Stdin, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return cgroups{}, fmt.Errorf("asking for standard input's peer: %w", err)
	}
	host, err := startTime(s.Proc, s.HostPID)
	if err != nil {
		return cgroups{}, fmt.Errorf("asking for this login's age: %w", err)
	}
	pid := int(credentials.Pid)
	before, err := s.peerStart(pid, host)
	if err != nil {
		return cgroups{}, err
	}
	found, readErr := readCgroups(s.Proc, strconv.Itoa(pid))
	after, err := s.peerStart(pid, host)
	if err != nil {
		return cgroups{}, err
	}
	if before != after {
		return cgroups{}, errPeerEnded
	}
	return found, readErr
}

func (s Source) peerStart(pid int, host uint64) (uint64, error) {
	peer, err := startTime(s.Proc, pid)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ESRCH):
		return 0, errPeerEnded
	case err != nil:
		return 0, fmt.Errorf("asking for the age of standard input's peer: %w", err)
	case peer > host:
		return 0, errPeerLater
	}
	return peer, nil
}
