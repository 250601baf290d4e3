// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// A bus without room closes the connection; one that is not running refuses it.
func TestConnectingWaitsForRoomUntilTheDeadline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	bus, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int32
	go func() {
		for {
			conn, err := bus.Accept()
			if err != nil {
				return
			}
			tries.Add(1)
			conn.Close()
		}
	}()
	const deadline = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	start := time.Now()
	client := Client{Address: "unix:path=" + path}
	_, err = client.FindByCertificate(ctx, "")
	checkUnavailable(t, err)
	if n, took := tries.Load(), time.Since(start); n < 3 || took < deadline*9/10 {
		t.Errorf("gave up after %d connections and %v: %v", n, took, err)
	}

	bus.Close()
	start = time.Now()
	_, err = client.FindByCertificate(context.Background(), "")
	checkUnavailable(t, err)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("waited %v for a bus that is not running", took)
	}
}

func checkUnavailable(t *testing.T, err error) {
	t.Helper()
	var ours *Error
	if !errors.As(err, &ours) || ours.Outcome != Unavailable {
		t.Errorf("got %v, want it unavailable", err)
	}
}
