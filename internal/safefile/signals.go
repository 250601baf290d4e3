// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"os"
	"os/signal"
	"syscall"
)

// holdSignals holds back signals that would end the process in the middle of an
// edit. The function that it returns lets them take effect.
func holdSignals() (release func()) {
	held := make(chan os.Signal, 8)
	signal.Notify(held, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return func() {
		signal.Stop(held)
		select {
		case s := <-held:
			if number, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(os.Getpid(), number)
			}
		default:
		}
	}
}
