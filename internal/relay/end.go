// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// An End is our end of the stream socket that leads to one party.
type End struct{ *os.File }

// ErrNotAStream is OpenEnd's answer to a file, a terminal or a datagram socket.
var ErrNotAStream = errors.New("not a stream socket")

// OpenEnd takes a descriptor over. Its file description becomes non-blocking, so
// that reads and writes know deadlines, and wait without a thread each.
func OpenEnd(fd int, name string) (End, error) {
	kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	switch {
	case errors.Is(err, syscall.ENOTSOCK), err == nil && kind != syscall.SOCK_STREAM:
		return End{}, fmt.Errorf("%s: %w", name, ErrNotAStream)
	case err != nil:
		return End{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return End{}, fmt.Errorf("%s: %w", name, err)
	}
	return End{os.NewFile(uintptr(fd), name)}, nil
}

// HangUp tells the party that the conversation is over, in both directions.
func (e End) HangUp() { e.shutdown(syscall.SHUT_RDWR) }

// StopReading makes the party's next write fail. What it wrote before can still
// be read.
func (e End) StopReading() { e.shutdown(syscall.SHUT_RD) }

// StopWriting lets the party see the end of what it gets.
func (e End) StopWriting() { e.shutdown(syscall.SHUT_WR) }

// shutdown fails only where the party is gone, and there is no one to tell.
func (e End) shutdown(how int) {
	_ = e.control(func(fd int) { _ = syscall.Shutdown(fd, how) })
}

func (e End) control(do func(fd int)) error {
	raw, err := e.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name(), err)
	}
	return nil
}
