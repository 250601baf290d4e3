// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"fmt"
	"os"
	"syscall"
)

// A watch waits for parties that hang up. epoll(7) reports that of every
// descriptor, although it is asked for no event: of a socket when neither
// direction works any more, of a pipe's writing end when its reader is gone.
type watch struct {
	epoll int
	gone  map[int32]func()
	// Closing stop makes stopped hang up, which ends the watch.
	stopped, stop *os.File
	done          chan struct{}
}

// newWatch calls a function, once, when the party behind its file hangs up.
func newWatch(gone map[*os.File]func()) (*watch, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	w := &watch{epoll: epoll, gone: map[int32]func(){}, done: make(chan struct{})}
	if w.stopped, w.stop, err = os.Pipe(); err != nil {
		_ = syscall.Close(epoll)
		return nil, err
	}
	err = w.add(w.stopped, nil)
	for file, call := range gone {
		if err == nil {
			err = w.add(file, call)
		}
	}
	if err != nil {
		close(w.done)
		w.close()
		return nil, err
	}
	go w.run()
	return w, nil
}

func (w *watch) add(file *os.File, call func()) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		w.gone[int32(fd)] = call
		event := syscall.EpollEvent{Events: syscall.EPOLLONESHOT, Fd: int32(fd)}
		failed = syscall.EpollCtl(w.epoll, syscall.EPOLL_CTL_ADD, int(fd), &event)
	}); err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	if failed != nil {
		return fmt.Errorf("%s: epoll_ctl: %w", file.Name(), failed)
	}
	return nil
}

func (w *watch) run() {
	defer close(w.done)
	var events [3]syscall.EpollEvent
	for {
		n, err := syscall.EpollWait(w.epoll, events[:], -1)
		if err != nil && err != syscall.EINTR {
			return
		}
		for _, event := range events[:max(n, 0)] {
			call := w.gone[event.Fd]
			if call == nil {
				return // stopped
			}
			call()
		}
	}
}

func (w *watch) close() {
	_ = w.stop.Close()
	<-w.done
	_ = w.stopped.Close()
	_ = syscall.Close(w.epoll)
}
