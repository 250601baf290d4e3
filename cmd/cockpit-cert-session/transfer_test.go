// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Large transfers in both directions at once arrive complete, and need little
// memory. COCKPIT_CERT_SESSION_MIB sets another size.
func TestLargeTransfers(t *testing.T) {
	mib := 128
	if testing.Short() {
		mib = 16
	}
	if text := os.Getenv("COCKPIT_CERT_SESSION_MIB"); text != "" {
		if _, err := fmt.Sscan(text, &mib); err != nil {
			t.Fatal(err)
		}
	}
	ws, session := login(t)
	pid := ws.command.Process.Pid
	before := memory(t, pid)

	for _, party := range []*net.UnixConn{ws.UnixConn, session} {
		party.SetDeadline(time.Now().Add(10 * time.Minute))
	}
	var parties sync.WaitGroup
	for i, direction := range [][2]*net.UnixConn{{ws.UnixConn, session}, {session, ws.UnixConn}} {
		from, to := direction[0], direction[1]
		parties.Add(1)
		go func() {
			defer parties.Done()
			sent, received := sha256.New(), sha256.New()
			read := make(chan error)
			go func() {
				_, err := io.CopyN(received, to, int64(mib)<<20)
				read <- err
			}()
			random := io.LimitReader(rand.NewChaCha8([32]byte{byte(i)}), int64(mib)<<20)
			if _, err := io.Copy(io.MultiWriter(from, sent), random); err != nil {
				t.Error(err)
			}
			if err := <-read; err != nil {
				t.Error(err)
			}
			if string(sent.Sum(nil)) != string(received.Sum(nil)) {
				t.Error("what arrived is not what was sent")
			}
		}()
	}
	parties.Wait()

	after := memory(t, pid)
	t.Logf("resident: %d KiB before, %d KiB after; at most %d KiB, of which %d KiB are not shared with others",
		before["VmRSS"], after["VmRSS"], after["VmHWM"], after["RssAnon"])
	// Two buffers, and the code that moves data.
	if grown := after["VmHWM"] - before["VmRSS"]; grown > 2048 {
		t.Errorf("the transfer took %d KiB of memory", grown)
	}
	session.Close()
	hearEnd(t, ws)
	ws.exits(0)
}

// memory returns the kernel's figures of a process's memory, in KiB.
func memory(t *testing.T, pid int) map[string]int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]int{}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		var kib int
		if n, _ := fmt.Sscanf(strings.TrimSpace(value), "%d kB", &kib); n == 1 {
			figures[key] = kib
		}
	}
	return figures
}
