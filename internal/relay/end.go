// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// An End is the relay's end of the stream socket to one party: cockpit-ws or
// cockpit-session.
type End struct{ *os.File }

// sendBuffer is how many bytes the kernel keeps for a party that reads late: while the
// party works on some, the relay need not wait. With the kernel's default a download
// took 1.05 to 1.1 times as long (BenchmarkTransfer in test/session).
const sendBuffer = 1 << 20

// ErrNotAStream is OpenEnd's error for a file, a terminal or a datagram socket.
var ErrNotAStream = errors.New("not a stream socket")

// OpenEnd takes a descriptor over, and makes it non-blocking, so that reads and
// writes have deadlines and need no thread each while they wait.
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
	// The kernel limits this to net.core.wmem_max, without an error.
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, sendBuffer)
	return End{os.NewFile(uintptr(fd), name)}, nil
}

// HangUp ends both directions.
func (e End) HangUp() { e.shutdown(syscall.SHUT_RDWR) }

// StopReading makes the party's next write fail. Earlier data can still be read.
func (e End) StopReading() { e.shutdown(syscall.SHUT_RD) }

// StopWriting lets the party read the end of the stream.
func (e End) StopWriting() { e.shutdown(syscall.SHUT_WR) }

// shutdown fails only if the party is gone, so that its error does not matter.
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
