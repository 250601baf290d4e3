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

// grace is how long what runs inside may take to tidy up after Ctrl-C.
const grace = 3 * time.Second

var (
	interruptMu sync.Mutex
	onInterrupt []func()
)

// OnInterrupt has a function called when Ctrl-C ends it all, after every other
// process inside was killed: for what does not vanish with the namespaces.
func OnInterrupt(f func()) {
	interruptMu.Lock()
	defer interruptMu.Unlock()
	onInterrupt = append(onInterrupt, f)
}

func endOnInterrupt() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	if os.Getpid() == 1 { // as it always is; but -1 is everybody
		_ = syscall.Kill(-1, syscall.SIGKILL)
	}
	interruptMu.Lock()
	for _, f := range onInterrupt {
		f()
	}
	os.Exit(130)
}
