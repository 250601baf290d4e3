// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// block is what is moved at a time, in bytes. Cockpit's bridge sends 64 KiB and a
// header at a time.
const block = 128 << 10

// join joins two ends as if they were one: every byte goes through unchanged, a
// slow reader slows the writer, and the end of either direction arrives as just
// that, while the other goes on. It returns when both directions have ended.
//
// fromFar is the direction from far to near, which may begin with something else
// than move.
func join(near, far End, fromFar func() error) error {
	other := map[End]End{near: far, far: near}
	var hangUp []*time.Timer
	var mutex sync.Mutex
	w, err := newWatch(func(end End) {
		// What its partner says gets nowhere from now on. What the party said
		// before it went may still arrive; where it does not soon, because the
		// partner reads nothing, the partner hears of the end all the same.
		partner := other[end]
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
	err = fromFar()
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

// move moves data until its source says no more, or its destination takes no
// more. That a party is gone is an end like any other.
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

// transfer makes one system call that does not block, and waits for when it can
// be made. It is raw: Go's scheduler would start another thread while it copies.
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
