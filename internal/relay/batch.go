// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// Policies of sched(7), which package syscall lacks.
const (
	schedOther = 0
	schedBatch = 3
)

// standBack has this process's threads wait until a processor is free, instead
// of interrupting whoever just wrote, at every chunk of data: that would only
// be one of the two parties that all this is for, and more of its data soon
// comes along at once. Their share of the time is as before, see SCHED_BATCH in
// sched(7). Where an administrator has chosen another policy, that stands.
//
// A child would inherit it, the user's whole session with it, so there must not
// be one to come.
func standBack() error {
	if policy, _, _ := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, 0, 0, 0); policy != schedOther {
		return nil
	}
	// New threads do inherit it. One that started before its parent had it is
	// found in another look.
	seen := map[int]bool{}
	for more := true; more; {
		more = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("listing our threads: %w", err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || seen[tid] {
				continue
			}
			seen[tid], more = true, true
			var priority int32 // sched_param: there is but one priority
			_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER,
				uintptr(tid), schedBatch, uintptr(unsafe.Pointer(&priority)))
			if errno != 0 && errno != syscall.ESRCH {
				return fmt.Errorf("setting the scheduling policy: %w", errno)
			}
		}
	}
	return nil
}
