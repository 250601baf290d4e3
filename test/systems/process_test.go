// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"strconv"
	"strings"
	"testing"
)

// While a session lasts, its cockpit-session has no threads of the module. On Debian
// 11 its memory is printed, and also that with Cockpit's own module.
func (l *lab) process(t *testing.T) {
	memory, threads := l.measure(t)
	t.Logf("cockpit-session has %d kB and %d thread(s)", memory, threads)
	if threads != 1 {
		t.Errorf("cockpit-session has %d threads", threads)
	}
	if l.relay {
		return
	}
	l.Sh(t, `module=$(find /lib /usr/lib -name pam_cockpit_cert.so -path '*/security/*' | head -n 1)
		cp "$module" /root/ours.so; mv /root/theirs.so "$module"`)
	t.Cleanup(func() {
		l.Sh(t, `module=$(find /lib /usr/lib -name pam_cockpit_cert.so -path '*/security/*' | head -n 1)
			mv "$module" /root/theirs.so; mv /root/ours.so "$module"`)
	})
	theirMemory, theirThreads := l.measure(t)
	t.Logf("with Cockpit's own module it has %d kB and %d thread(s): %.2f times as much is ours",
		theirMemory, theirThreads, float64(memory)/float64(theirMemory))
}

// measure returns a cockpit-session's resident memory, in kB, and its threads.
func (l *lab) measure(t testing.TB) (memory, threads int) {
	t.Helper()
	eventually(t, func() string {
		out, _ := l.Try(t, "pgrep", "-a", "cockpit-session")
		return out
	})
	alice := l.enter(t, "alice")
	defer alice.logout(t)
	out := l.Sh(t, `awk '/^VmRSS|^Threads/ { print $1, $2 }' "/proc/$(pgrep -o cockpit-session)/status"`)
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		number, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "VmRSS":
			memory = number
		case "Threads":
			threads = number
		}
	}
	return memory, threads
}
