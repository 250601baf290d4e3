// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// All of Cockpit's sessions by certificate share one limit of tasks
// (system-cockpithttps.slice).
func TestThreads(t *testing.T) {
	const most = 4
	count := func(t *testing.T, ws *cockpitWS) int {
		t.Helper()
		block := make([]byte, 1<<20)
		for range 50 {
			go ws.Write(block)
			if _, err := io.ReadFull(ws, make([]byte, len(block))); err != nil {
				t.Fatal(err)
			}
		}
		tasks, err := os.ReadDir("/proc/" + strconv.Itoa(ws.command.Process.Pid) + "/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(tasks)
	}
	// On a very busy machine Go's scheduler may start one more thread: the smallest
	// number of some runs counts.
	atMost := func(t *testing.T, count func() int) {
		t.Helper()
		fewest := count()
		for range 4 {
			fewest = min(fewest, count())
		}
		if fewest > most {
			t.Errorf("the program has %d threads, not %d at most", fewest, most)
		}
	}
	// The test's binary has more packages, and so more threads when it starts.
	built := filepath.Join(t.TempDir(), "cockpit-cert-session")
	if out, err := exec.Command("go", "build", "-o", built, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	t.Run("behind a socket", func(t *testing.T) {
		atMost(t, func() int {
			l := listen(t)
			ws := launchProgram(t, built, nil, "--socket", l.path)
			session := l.accept(t)
			say(t, session, challenge)
			hear(t, ws, challenge)
			say(t, ws, reply)
			hear(t, session, rewritten)
			say(t, session, opened)
			hear(t, ws, opened)
			go io.Copy(session, session)
			return count(t, ws)
		})
	})
	t.Run("with a cockpit-session that it has executed", func(t *testing.T) {
		atMost(t, func() int {
			ws := launchProgram(t, built, []string{"COCKPIT_SESSION=challenge reply open echo end=0"},
				"--session", program(t, "cockpit-session"))
			hear(t, ws, challenge)
			say(t, ws, reply)
			hear(t, ws, opened)
			return count(t, ws)
		})
	})
}
