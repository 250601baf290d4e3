// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package strace is for tests that run programs under strace(1).
package strace

import (
	"os/exec"
	"testing"
)

// Need skips a test where strace is missing, or may not trace.
func Need(t testing.TB) {
	t.Helper()
	if out, err := exec.Command("strace", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("needs strace, and the right to use it: %v: %s", err, out)
	}
}
