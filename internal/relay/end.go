// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// An End is one party's side of a conversation: what it sends is read from R,
// and what it shall get is written to W. Both may be the same socket.
type End struct {
	R, W *os.File
}

// OpenEnd prepares a descriptor for use in an End: a stream socket or a pipe.
// Its file description becomes non-blocking, so that reads and writes know
// deadlines, and that Pipe waits without a thread for each direction.
func OpenEnd(fd int, name string) (*os.File, error) {
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch stat.Mode & syscall.S_IFMT {
	case syscall.S_IFIFO:
	case syscall.S_IFSOCK:
		if kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); err != nil || kind != syscall.SOCK_STREAM {
			return nil, fmt.Errorf("%s: %w", name, ErrNotAStream)
		}
	default:
		return nil, fmt.Errorf("%s: %w", name, ErrNotAStream)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// ErrNotAStream is OpenEnd's answer to a file, a terminal or a datagram socket.
var ErrNotAStream = errors.New("neither a stream socket nor a pipe")

// HangUp tells the party that the conversation is over, in both directions.
func (e End) HangUp() {
	stopReading(e.R)
	stopWriting(e.W)
}

// StopReading ends the party's direction: what it says from now on gets nowhere.
func (e End) StopReading() { stopReading(e.R) }

// stopReading makes the party's next write fail, once it has nothing more that
// anybody wants. What it wrote before can still be read.
func stopReading(f *os.File) {
	if shutdown(f, syscall.SHUT_RD) != nil {
		_ = f.Close()
	}
}

// stopWriting lets the party see the end of what it gets.
func stopWriting(f *os.File) {
	if shutdown(f, syscall.SHUT_WR) != nil {
		_ = f.Close()
	}
}

// shutdown fails for pipes, where closing means the same.
func shutdown(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Shutdown(int(fd), how) }); err != nil {
		return err
	}
	if errors.Is(failed, syscall.ENOTCONN) {
		return nil // the party is gone: nobody is left to tell
	}
	return failed
}
