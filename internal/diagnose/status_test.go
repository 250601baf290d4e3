// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

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

func TestOnlyWhatIsBrokenOrUnknownKeepsASystemFromBeingOK(t *testing.T) {
	for _, test := range []struct {
		checks []Check
		want   bool
	}{
		{[]Check{ok("a", ""), warning("b", "", nil)}, true},
		{[]Check{ok("a", ""), unknown("b", "", nil)}, false},
		{[]Check{broken("a", "", nil), ok("b", "")}, false},
	} {
		if got := NewReport("1", test.checks); got.OK != test.want {
			t.Errorf("%v: %+v", test.checks, got)
		}
	}
}

func TestAProcessReadsWhatItsFileSystemUserAndGroupsMay(t *testing.T) {
	r := readerOf("Name:\tsssd_ifp\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n")
	if r.uid != 4 || !slices.Equal(r.gids, []uint32{8, 9, 10}) {
		t.Fatalf("got %+v", r)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give files away")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		uid, gid int
		mode     os.FileMode
		want     bool
	}{
		{4, 0, 0o400, true}, {4, 8, 0o044, false}, {0, 8, 0o040, true}, {0, 10, 0o640, true}, {0, 10, 0o604, false}, {0, 0, 0o604, true}, {0, 0, 0o640, false},
	} {
		if err := errors.Join(os.Chown(path, test.uid, test.gid), os.Chmod(path, test.mode)); err != nil {
			t.Fatal(err)
		}
		if r.may(path, toRead) != test.want {
			t.Errorf("owner %d:%d, mode %o: %v", test.uid, test.gid, test.mode, !test.want)
		}
	}
	for capabilities, want := range map[string]bool{"000001ffffffffff": true, "0000000000000004": true, "0000000000000008": false, "0000000000000000": false} {
		root := readerOf("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t" + capabilities + "\n")
		if err := errors.Join(os.Chown(path, 4, 4), os.Chmod(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		if root.may(path, toRead) != want {
			t.Errorf("root with the capabilities %s: %v", capabilities, !want)
		}
	}
}
