// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package demo checks what the program of make demo prints, for the tests that run
// it.
package demo

import (
	"regexp"
	"slices"
	"testing"
)

// Check checks that a transcript has every result, in the order of the logins.
func Check(t testing.TB, transcript string) {
	t.Helper()
	var results []string
	for _, match := range regexp.MustCompile(`(?m)^    the module returns +(.*)$`).FindAllStringSubmatch(transcript, -1) {
		results = append(results, match[1])
	}
	want := []string{"success", "user_unknown", "user_unknown", "user_unknown", "ignore", "ignore", "unavail", "service_err"}
	if !slices.Equal(results, want) {
		t.Errorf("results %v, want %v, in\n%s", results, want, transcript)
	}
	for _, line := range []string{
		`    PAM_USER is +alice`,
		`    the user reads +The certificate does not belong to a user of this system\. .*`,
		`    Cockpit's service +logs alice in, and asks for no password`,
		`    Cockpit's service +refuses the login, and offers no other method`,
		`    Cockpit's service +goes on to the next method, a password`,
		`.*REFUSED: SSSD's user 'alice' has uid 1000, but.*`,
		`That was all\. .*`,
	} {
		if !regexp.MustCompile("(?m)^" + line + "$").MatchString(transcript) {
			t.Errorf("no line %q in\n%s", line, transcript)
		}
	}
}
