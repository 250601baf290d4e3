// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package status

import "testing"

func TestTheLayoutOfControlGroups(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/x.service\n": "version 2",
		"2:cpu,cpuacct:/\n1:name=systemd:/system.slice/x.service\n0::/system.slice/x.service\n": "versions 1 and 2",
		"2:cpu,cpuacct:/\n1:name=systemd:/system.slice/x.service\n":                             "version 1",
	} {
		if got := layout(text); got != want {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestAllIsWellOnlyWhereNothingIsBrokenOrUnseen(t *testing.T) {
	for _, test := range []struct {
		links []Link
		want  bool
	}{
		{[]Link{ok("a", ""), unused("b", "")}, true},
		{[]Link{ok("a", ""), unseen("b", "", "")}, false},
		{[]Link{broken("a", "", ""), ok("b", "")}, false},
	} {
		if Well(test.links) != test.want {
			t.Errorf("%v: %v", test.links, !test.want)
		}
	}
}
