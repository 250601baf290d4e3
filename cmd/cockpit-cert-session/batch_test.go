// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// While data flows, none of the program's threads interrupts the parties; yet
// the user's session is scheduled like any other.
func TestTheProgramStandsBack(t *testing.T) {
	const other, batch = 0, 3 // SCHED_OTHER and SCHED_BATCH, see sched(7)
	if policy, _, _ := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, 0, 0, 0); policy != other {
		t.Skip("whoever started the tests has chosen another policy, which stands")
	}
	t.Run("behind a socket", func(t *testing.T) {
		ws, session := login(t)
		say(t, session, "data")
		hear(t, ws, "data")
		policies(t, ws.command.Process.Pid, batch)
	})
	t.Run("but not a session that it has started", func(t *testing.T) {
		ws := executed(t, "challenge reply echo end=0")
		hear(t, ws, challenge)
		say(t, ws, reply+"data")
		hear(t, ws, "data")
		pid := ws.command.Process.Pid
		policies(t, pid, batch)
		policies(t, child(t, pid), other)
	})
}

// policies expects one scheduling policy of all of a process's threads.
func policies(t *testing.T, pid, want int) {
	t.Helper()
	tasks, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("process %d has %d threads: %v", pid, len(tasks), err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		policy, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
		if errno != 0 || int(policy) != want {
			t.Errorf("thread %d of process %d has the scheduling policy %d (%v), not %d", tid, pid, policy, errno, want)
		}
	}
}

// child returns the one child of a process, whichever of its threads started it.
func child(t *testing.T, pid int) int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, strings.Fields(string(content))...)
	}
	if len(children) != 1 {
		t.Fatalf("the program's children: %v", children)
	}
	child, err := strconv.Atoi(children[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}
