// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// A watch waits for parties that are gone, whose socket has ended in both
// directions. A read or write does not show that while the other party is silent
// or reads nothing. epoll(7) reports it for every descriptor, even one watched for
// no event. The epoll descriptor itself is polled by Go's runtime, so that waiting
// needs no thread.
type watch struct{ epoll *os.File }

// newWatch starts a watch that calls gone once for each end whose party is gone,
// until the watch is closed.
func newWatch(gone func(End), ends ...End) (watch, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		return watch{}, fmt.Errorf("watching the connections: %w", err)
	}
	w := watch{os.NewFile(uintptr(fd), "epoll")}
	for i, end := range ends {
		event := syscall.EpollEvent{Events: syscall.EPOLLONESHOT, Fd: int32(i)}
		var failed error
		err := end.control(func(party int) { failed = syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, party, &event) })
		if err = errors.Join(err, failed); err != nil {
			w.close()
			return watch{}, fmt.Errorf("watching the connections: %w", err)
		}
	}
	raw, err := w.epoll.SyscallConn()
	if err != nil {
		w.close()
		return watch{}, err
	}
	go func() {
		var events [2]syscall.EpollEvent
		for {
			n := 0
			if raw.Read(func(fd uintptr) bool {
				n, _ = syscall.EpollWait(int(fd), events[:], 0)
				return n > 0
			}) != nil {
				return // closed
			}
			for _, event := range events[:n] {
				gone(ends[event.Fd])
			}
		}
	}()
	return w, nil
}

func (w watch) close() { _ = w.epoll.Close() }
