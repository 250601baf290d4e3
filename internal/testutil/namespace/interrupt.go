// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package namespace

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// grace is how long the process inside may take to clean up after Ctrl-C.
const grace = 3 * time.Second

var (
	interruptMu sync.Mutex
	onInterrupt []func()
)

// Outside makes what does not end with the namespaces. After Ctrl-C, when every other
// process inside was killed, undo is called, and nothing more is made.
func Outside(makeIt func() error, undo func()) error {
	interruptMu.Lock()
	defer interruptMu.Unlock()
	if err := makeIt(); err != nil {
		return err
	}
	onInterrupt = append(onInterrupt, undo)
	return nil
}

func endOnInterrupt() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	if os.Getpid() == 1 { // always so; but outside, kill(-1) would hit every process of the machine
		_ = syscall.Kill(-1, syscall.SIGKILL)
	}
	interruptMu.Lock()
	for _, f := range onInterrupt {
		f()
	}
	os.Exit(130)
}
