// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package duplex

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Flags of splice(2), which package syscall lacks.
const (
	spliceMove     = 1
	spliceNonblock = 2
)

// chunk bounds one splice(2). What one really moves is up to the pipe between:
// its 16 slots of a buffer each.
const chunk = 1 << 20

// A mover is one direction of a Pipe. While it moves, it allocates nothing.
//
// The standard library's io.Copy splices too, over pipes that it enlarges to
// a megabyte; the kernel's allowance for a user's pipes (pipe-user-pages-soft)
// would be spent by a few dozen sessions, all of which have cockpit-ws's user.
type mover struct {
	dst, src *os.File
	to, from syscall.RawConn
	// What is on its way lies in a pipe of the kernel, which splice needs.
	in, out int
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
	return m, nil
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
	fill := func(fd uintptr) bool { return m.splice(int(fd), m.in) }
	drain := func(fd uintptr) bool { return m.splice(m.out, int(fd)) }
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
func (m *mover) splice(from, to int) bool {
	for {
		n, err := syscall.Splice(from, nil, to, nil, m.want, spliceMove|spliceNonblock)
		if err == syscall.EINTR {
			continue
		}
		m.got, m.err = int(max(n, 0)), err
		return err != syscall.EAGAIN
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
