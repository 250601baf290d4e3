// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import "testing"

func TestSentence(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"Permission denied", "Permission denied."},
		{"Closed until noon.", "Closed until noon."},
		{"Is your card in the reader?", "Is your card in the reader?"},
		{" Down for\n\t\"repair\"\x00\x7f\u202e:\r\n", `Down for "repair" :`},
		{"Gesperrt für „Wartung“", "Gesperrt für „Wartung“."},
		{"系统维护中。", "系统维护中。"},
		{"Einen Augenblick…", "Einen Augenblick…"},
		{"f\xfcr", "f?r."}, // Latin-1
		{"\x1b[1;31mClosed\x1b[0m until \u009b4mnoon\u009b24m.", "Closed until noon."}, // colours
		{"\x1b]8;;https://example.org/\x1b\\Ask\x1b]8;;\a \x1b(B\x1b7us\x1bPq#0\u009c", "Ask us."},
		{"\x1b]0;no end", "0;no end."},
		{"half \x1b[31", "half 31."},
		{"\x1b[\x1b[0m\x00\n", failed},
		{"\x00\n", failed},
	} {
		if got, want := Sentence(test.text), test.want+" "+advice; got != want {
			t.Errorf("%q became %q, not %q", test.text, got, want)
		}
	}
	module := "The certificate does not belong to a user of this system. " + advice
	if got := Sentence(module); got != module {
		t.Errorf("the module's own text became %q", got)
	}
}
