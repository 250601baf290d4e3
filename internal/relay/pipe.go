// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// block is how many bytes are moved at a time. Cockpit's bridge sends 64 KiB and
// a header at a time.
const block = 128 << 10

// join connects two ends: every byte passes unchanged, a slow reader slows the
// writer, and the end of one direction is passed on while the other direction
// goes on. It returns when both directions have ended.
//
// fromFar moves the data from far to near; it may do something else first, and may
// ask whether near's party is gone.
func join(near, far End, fromFar func(nearGone func() bool) error) error {
	other := map[End]End{near: far, far: near}
	var nearGone atomic.Bool
	var hangUp []*time.Timer
	var mutex sync.Mutex
	w, err := newWatch(func(end End) {
		// The party is gone, so that its partner can say nothing more. What the
		// party said before may still arrive. If that takes too long, because the
		// partner reads nothing, the partner's connection is ended.
		partner := other[end]
		if end == near {
			nearGone.Store(true)
		}
		partner.StopReading()
		mutex.Lock()
		defer mutex.Unlock()
		hangUp = append(hangUp, time.AfterFunc(grace, func() {
			partner.HangUp()
			end.HangUp()
		}))
	}, near, far)
	if err != nil {
		return err
	}
	fromNear := make(chan error, 1)
	go func() {
		err := move(far, near)
		near.StopReading()
		far.StopWriting()
		fromNear <- err
	}()
	err = fromFar(nearGone.Load)
	far.StopReading()
	near.StopWriting()
	err = errors.Join(err, <-fromNear)
	w.close()
	mutex.Lock()
	defer mutex.Unlock()
	for _, timer := range hangUp {
		timer.Stop()
	}
	return err
}

// move moves data until its source ends, or its destination accepts no more. It
// is not an error if a party is gone.
func move(to, from End) error {
	in, err := from.SyscallConn()
	if err != nil {
		return err
	}
	out, err := to.SyscallConn()
	if err != nil {
		return err
	}
	buffer := make([]byte, block)
	for {
		n, err := transfer(in.Read, syscall.SYS_READ, buffer)
		if n == 0 {
			return reason("reading from", from, err)
		}
		for rest := buffer[:n]; len(rest) > 0; rest = rest[n:] {
			if n, err = transfer(out.Write, syscall.SYS_WRITE, rest); err != nil {
				return reason("writing to", to, err)
			}
		}
	}
}

// transfer makes one non-blocking system call, and waits until it can succeed. It
// uses RawSyscall, because during a Syscall Go's scheduler may start another
// thread. In transfers by Cockpit 337, io.Copy took a third more processor time, and
// splice(2) an eighth less, which is not worth its code.
func transfer(wait func(func(fd uintptr) bool) error, call uintptr, buffer []byte) (n int, err error) {
	var errno syscall.Errno
	err = wait(func(fd uintptr) bool {
		for {
			var r uintptr
			r, _, errno = syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
			switch errno {
			case 0:
				n = int(r)
			case syscall.EINTR:
				continue
			}
			return errno != syscall.EAGAIN
		}
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return n, err
}

func reason(doing string, end End, err error) error {
	if err == nil || isEnd(err) {
		return nil
	}
	return fmt.Errorf("%s %s: %w", doing, end.Name(), err)
}
