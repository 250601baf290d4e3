// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Flags of splice(2) and a command of fcntl(2), which package syscall lacks.
const (
	spliceMove     = 1
	spliceNonblock = 2

	setPipeSize = 1031 // F_SETPIPE_SZ
)

// linger is how long a thread waits for a socket in the kernel before it leaves
// the waiting to Go's poller. While data flows, it never comes to that, which
// halves the time that a session's data costs: Go's way of going to sleep and
// waking up costs more than moving a chunk.
//
// It waits in the scheduler's name, too: see runtime.GOMAXPROCS in the command.
const linger = time.Millisecond

// chunk bounds one splice(2). What one really moves is up to the pipe between.
const chunk = 1 << 20

// pipeSize is in bytes, a slot for each page of them. Cockpit's bridge sends
// 64 KiB and a header at a time, for which the 64 KiB that a pipe usually has
// are a slot too few: its remainder would cost as much as the rest.
const pipeSize = 128 << 10

// A mover is one direction of a Pipe. While it moves, it allocates nothing.
//
// The standard library's io.Copy splices too, over pipes that it enlarges to
// a megabyte; the kernel's allowance for a user's pipes (pipe-user-pages-soft)
// would be spent by a few dozen sessions, all of which have cockpit-ws's user.
// Ours are enough for 256.
type mover struct {
	dst, src *os.File
	to, from syscall.RawConn
	// What is on its way lies in a pipe of the kernel, which splice needs.
	in, out int
	// Flags of splice(2) for either half of the way.
	fromFlags, toFlags int
	// What the last splice moved, of at most what was wanted.
	want, got int
	err       error
}

func newMover(dst, src *os.File) (*mover, error) {
	m := &mover{dst: dst, src: src}
	var err error
	if m.from, err = src.SyscallConn(); err != nil {
		return nil, fmt.Errorf("%s: %w", src.Name(), err)
	}
	if m.to, err = dst.SyscallConn(); err != nil {
		return nil, fmt.Errorf("%s: %w", dst.Name(), err)
	}
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	m.out, m.in = pipe[0], pipe[1]
	// The kernel may have no more for this user: then it is slower.
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(m.in), setPipeSize, pipeSize)
	m.fromFlags = lingering(m.from, syscall.SO_RCVTIMEO)
	m.toFlags = lingering(m.to, syscall.SO_SNDTIMEO)
	return m, nil
}

// lingering has the kernel bound the wait for a socket, and returns the flags
// for that. Nothing but a socket has such a bound.
func lingering(file syscall.RawConn, option int) (flags int) {
	flags = spliceMove | spliceNonblock
	_ = file.Control(func(fd uintptr) {
		bound := syscall.NsecToTimeval(int64(linger))
		if syscall.SetsockoptTimeval(int(fd), syscall.SOL_SOCKET, option, &bound) == nil &&
			syscall.SetNonblock(int(fd), false) == nil {
			flags = spliceMove
		}
	})
	return flags
}

func (m *mover) close() {
	_ = syscall.Close(m.in)
	_ = syscall.Close(m.out)
}

// end tells both parties of this direction that it has ended, whichever of
// them ended it.
func (m *mover) end() {
	stopReading(m.src)
	stopWriting(m.dst)
}

// run moves data until an end, and returns how many bytes. That a party is
// gone is an end like any other.
func (m *mover) run() (moved int64, err error) {
	fill := func(fd uintptr) bool { return m.splice(int(fd), m.in, m.fromFlags) }
	drain := func(fd uintptr) bool { return m.splice(m.out, int(fd), m.toFlags) }
	for {
		m.want = chunk
		if err := m.from.Read(fill); err != nil || m.got == 0 {
			return moved, m.reason(err)
		}
		for m.want = m.got; m.want > 0; m.want -= m.got {
			if err := m.to.Write(drain); err != nil || m.got == 0 {
				return moved, m.reason(err)
			}
			moved += int64(m.got)
		}
	}
}

// splice reports whether it need not wait any more.
func (m *mover) splice(from, to, flags int) bool {
	for {
		// Raw, for the scheduler shall not look for other work meanwhile.
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SPLICE,
			uintptr(from), 0, uintptr(to), 0, uintptr(m.want), uintptr(flags))
		switch errno {
		case 0:
			m.got, m.err = int(n), nil
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			m.got, m.err = 0, errno
			return true
		}
	}
}

// reason is why the direction ended, where that is neither an end of data nor
// a party that is gone. failed is the wait's error.
func (m *mover) reason(failed error) error {
	err := failed
	if err == nil {
		err = m.err
	}
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, os.ErrClosed):
		return nil
	}
	return fmt.Errorf("moving data from %s to %s: %w", m.src.Name(), m.dst.Name(), err)
}
