// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package namespace

import (
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Syslog reads /dev/log in place of journald or rsyslog.
type Syslog struct {
	mu   sync.Mutex
	seen []string
}

// ListenSyslog makes /dev/log, until the test ends.
func ListenSyslog(t testing.TB) *Syslog {
	t.Helper()
	Need(t)
	os.Remove("/dev/log")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	s := &Syslog{}
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen = append(s.seen, strings.TrimRight(string(buffer[:n]), "\n\x00"))
			s.mu.Unlock()
		}
	}()
	return s
}

// Lines returns the lines so far, each as `<priority>date program[pid]: text`.
func (s *Syslog) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// Wait returns the first line that the regular expression matches. If there is none
// within some seconds, the test fails and shows all lines.
func (s *Syslog) Wait(t testing.TB, expression string) string {
	t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, line := range s.Lines() {
			if re.MatchString(line) {
				return line
			}
		}
	}
	t.Errorf("syslog has no line like %s but\n%s", expression, strings.Join(s.Lines(), "\n"))
	return ""
}
