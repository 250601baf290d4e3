// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

func TestWhatHidesProcessesFromTheModule(t *testing.T) {
	const line = "22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw"
	for options, want := range map[string]bool{
		"":                           false,
		",hidepid=0":                 false,
		",hidepid=2":                 false, // root's group sees all
		",gid=0,hidepid=invisible":   false,
		",gid=1000,hidepid=2":        true,
		",gid=1000,hidepid=noaccess": true,
		",hidepid=ptraceable":        true,
	} {
		if got := hides("1 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + line + options + "\n30 22 0:30 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"); got != want {
			t.Errorf("%q hides: %v", options, got)
		}
	}
	if hides(line + ",gid=5,hidepid=2\n" + line + "\n") {
		t.Error("the last mount does not count")
	}
}

func TestCockpitWithoutTLS(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/lib/cockpit/cockpit-tls":                         "",
		"/usr/lib/cockpit/cockpit-ws --for-tls-proxy --port=0": "", // cockpit-tls's own
		"/usr/lib/cockpit/cockpit-tls --no-tls":                "--no-tls",
		"/usr/lib/cockpit/cockpit-ws --for-tls-proxy":          "--for-tls-proxy",
	} {
		if got := withoutTLS(strings.Fields(line)); got != want {
			t.Errorf("%s: %q", line, got)
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
