// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package session_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pam_cockpit_cert/internal/relay"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// BenchmarkTransfer measures downloads from Cockpit's own cockpit-bridge, in turns with
// cockpit-cert-session and without it. In the place of cockpit-ws, which is slower, the
// benchmark only reads. The goal is 0.95 of the speed.
func BenchmarkTransfer(b *testing.B) {
	shellForNobody(b)
	bridge(b, "exec "+pamhost.Anyones(b, "test/cockpit-bridge/usr/bin/cockpit-bridge")+" 2>/dev/null")
	const size = 128 << 20
	file := filepath.Join(bin, "file")
	if err := os.WriteFile(file, make([]byte, size), 0o644); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.Remove(file) })

	with, without := login(b, "required pam_permit.so"), loginWithout(b, "required pam_permit.so")
	for _, ws := range []*cockpitWS{with, without} {
		ws.said = relay.NewFrameReader(bufio.NewReaderSize(ws, 1<<20), 1<<20) // like cockpit-ws
		ws.begin()
	}
	for _, channel := range []struct{ name, options string }{
		{"a file, fsread1", `"payload":"fsread1","binary":"raw","max_read_size":1000000000,"path":"` + file + `"`},
		{"a program's output, stream", `"payload":"stream","binary":"raw","spawn":["cat","` + file + `"]`},
	} {
		var through, direct []time.Duration
		for range 11 {
			direct = append(direct, without.download(channel.options, size))
			through = append(through, with.download(channel.options, size))
		}
		slices.Sort(direct)
		slices.Sort(through)
		half := len(direct) / 2
		fmt.Printf("%-42s 128 MiB: p50 %v directly, %v through cockpit-cert-session: %.2fx the speed\n", channel.name,
			direct[half].Round(time.Millisecond), through[half].Round(time.Millisecond), direct[half].Seconds()/through[half].Seconds())
	}
}

// begin answers the bridge's init.
func (ws *cockpitWS) begin() {
	ws.t.Helper()
	payload, err := ws.said.Next()
	if err != nil || relay.ParseMessage(payload).Kind != relay.Init {
		ws.t.Fatalf("heard %q, %v, want init", payload, err)
	}
	ws.control(`{"command":"init","version":1,"host":"localhost","superuser":false}`)
}

func (ws *cockpitWS) control(message string) {
	ws.t.Helper()
	ws.say(string(relay.AppendFrame(nil, []byte("\n"+message))))
}

// download opens a channel, and returns how long it takes to read it to its end.
func (ws *cockpitWS) download(options string, size int) time.Duration {
	ws.t.Helper()
	ws.SetDeadline(time.Now().Add(patience))
	channel := []byte("1:1\n")
	began := time.Now()
	ws.control(`{"command":"open","channel":"1:1",` + options + `}`)
	for got := 0; ; {
		payload, err := ws.said.Next()
		switch {
		case err != nil:
			ws.t.Fatal(err)
		case bytes.HasPrefix(payload, channel):
			got += len(payload) - len(channel)
		case bytes.Contains(payload, []byte(`"close"`)):
			if got != size {
				ws.t.Fatalf("%d bytes came, not %d: %s", got, size, payload)
			}
			return time.Since(began)
		}
	}
}
