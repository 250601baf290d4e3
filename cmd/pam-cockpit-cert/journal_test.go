// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// journalMaker writes a real journal from the format of journalctl -o export.
const journalMaker = "/lib/systemd/systemd-journal-remote"

// makeJournal: journal ROOT FILE makes the journal of the system below ROOT. A
// line of FILE has the time, the process, its user, syslog's priority and
// identifier, and the message.
func makeJournal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: journal root file")
	}
	if _, err := os.Stat(journalMaker); err != nil {
		ts.Fatalf("needs the package systemd-journal-remote: %v", err)
	}
	const boot, machine = "00000000000000000000000000000b07", "00000000000000000000000000000111"
	var export strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 6)
		if len(fields) != 6 {
			ts.Fatalf("not an entry: %s", line)
		}
		at, err := time.Parse(time.RFC3339, fields[0])
		ts.Check(err)
		fmt.Fprintf(&export, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%[1]d\n_BOOT_ID=%s\n", at.UnixMicro(), boot)
		fmt.Fprintf(&export, "_PID=%s\n_UID=%s\nPRIORITY=%s\nSYSLOG_IDENTIFIER=%s\n", fields[1], fields[2], fields[3], fields[4])
		// The lines of a unit, such as Cockpit's instance for a certificate, have its name.
		if unit, message, ok := strings.Cut(fields[5], " "); ok && strings.HasPrefix(unit, "cockpit-session@") {
			fmt.Fprintf(&export, "_SYSTEMD_UNIT=%s\n", unit)
			fields[5] = message
		}
		if fields[4] == "cockpit-ws" {
			unit, message, _ := strings.Cut(fields[5], " ")
			// journald does not know more, such as the slice, if the process has ended.
			fmt.Fprintf(&export, "_SYSTEMD_UNIT=%s\n", unit)
			fields[5] = message
		}
		fmt.Fprintf(&export, "MESSAGE=%s\n\n", fields[5])
	}
	dir := filepath.Join(ts.MkAbs(args[0]), "var/log/journal", machine)
	ts.Check(os.MkdirAll(dir, 0o755))
	command := exec.Command(journalMaker, "--output="+filepath.Join(dir, "system.journal"), "-")
	command.Stdin = strings.NewReader(export.String())
	if out, err := command.CombinedOutput(); err != nil {
		ts.Fatalf("%s: %v: %s", journalMaker, err, out)
	}
}

// The administrator ends a list that is followed by an interrupt, which is not a
// failure.
func TestFollowingEndsByAnInterrupt(t *testing.T) {
	if _, err := exec.LookPath("journalctl"); err != nil {
		t.Skip("needs journalctl")
	}
	command := exec.Command("/proc/self/exe", "logins", "--follow")
	command.Env = append(os.Environ(), faultMarker+"=1")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	// Early on, the signal ends the command: try again until the command handles it.
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(200 * time.Millisecond) {
		select {
		case err := <-ended:
			if err == nil {
				return
			}
			t.Fatalf("following ended: %v", err)
		default:
			// journalctl is a child of any of its threads.
			threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", command.Process.Pid))
			for _, thread := range threads {
				if children, _ := os.ReadFile(thread); len(children) > 0 {
					_ = command.Process.Signal(unix.SIGINT)
				}
			}
		}
	}
	_ = command.Process.Kill()
	t.Error("following goes on after an interrupt")
}
