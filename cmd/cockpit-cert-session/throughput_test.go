// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkThroughput moves data from cockpit-session to cockpit-ws, in turns
// through the program and over one socket directly. Its parties only write and
// read, so that it measures the program's highest speed and its cost. Cockpit's own
// parties are much slower; the tests of booted machines measure the program's
// effect on them.
func BenchmarkThroughput(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) {
			ws, session := login(b)
			theirs, direct := socketPair(b)
			file, err := net.FileConn(theirs)
			theirs.Close()
			if err != nil {
				b.Fatal(err)
			}
			defer file.Close()

			const amount = 256 << 20
			b.SetBytes(2 * amount)
			var through, without time.Duration
			before := processorTime(b, ws.command.Process.Pid)
			for b.Loop() {
				without += transfer(b, file, direct, size, amount)
				through += transfer(b, session, ws, size, amount)
			}
			used := processorTime(b, ws.command.Process.Pid) - before
			moved := float64(b.N) * amount
			b.ReportMetric(moved/1e6/without.Seconds(), "direct-MB/s")
			b.ReportMetric(moved/1e6/through.Seconds(), "through-MB/s")
			b.ReportMetric(without.Seconds()/through.Seconds(), "ratio")
			b.ReportMetric(used.Seconds()*1000/(moved/(1<<30)), "cpu-ms/GiB")
		})
	}
}

// transfer returns how long it takes.
func transfer(b *testing.B, from, to net.Conn, size, amount int) time.Duration {
	b.Helper()
	for _, party := range []net.Conn{from, to} {
		party.SetDeadline(time.Now().Add(time.Minute))
	}
	began := time.Now()
	go func() {
		block := make([]byte, size)
		for left := amount; left > 0; left -= size {
			if _, err := from.Write(block); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	block := make([]byte, 64<<10)
	for left := amount; left > 0; {
		n, err := to.Read(block)
		if err != nil {
			b.Fatal(err)
		}
		left -= n
	}
	return time.Since(began)
}

// processorTime returns the processor time that a process has used, which proc(5)
// counts in hundredths of a second.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	// The name, in parentheses, may contain anything; the state follows it.
	fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+1:])
	var ticks time.Duration
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}
