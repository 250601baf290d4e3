// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestStartTime(t *testing.T) {
	const numbers = " S 1 42 42 0 -1 4194560 101 0 0 0 1 2 0 0 20 0 1 0 987654 1234 56 18446744073709551615\n"
	for name, test := range map[string]struct {
		stat string
		want uint64
		ok   bool
	}{
		"a plain name":                {"42 (cockpit-ws)" + numbers, 987654, true},
		"a name with blanks":          {"42 (a b c)" + numbers, 987654, true},
		"a name that ends early":      {"42 (a) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1)" + numbers, 987654, true},
		"a name of parentheses":       {"42 ())))" + numbers, 987654, true},
		"a name with a newline":       {"42 (a\nb)" + numbers, 987654, true},
		"an empty name":               {"42 ()" + numbers, 987654, true},
		"the start time is the last":  {"42 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 77", 77, true},
		"cut off before it":           {"42 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", 0, false},
		"no name":                     {"42 S 1 2 3", 0, false},
		"nothing":                     {"", 0, false},
		"a start time below zero":     {"42 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 -1", 0, false},
		"a start time beyond 64 bits": {"42 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 18446744073709551616", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStartTime(test.stat)
			if got != test.want || (err == nil) != test.ok {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

// TestStartTimeOfARealProcess reads the same number under the most misleading
// name that a process can give itself.
func TestStartTimeOfARealProcess(t *testing.T) {
	// A program's name is that of its file; the kernel keeps fifteen bytes.
	path := filepath.Join(t.TempDir(), ") R 1 1 1 (a) b")
	if err := os.Symlink(executable(t), path); err != nil {
		t.Fatal(err)
	}
	before := started(t, startChild(t, "sleep").Process.Pid)
	command := exec.Command(path)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	misleading := start(t, "sleep", command, stdin)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", misleading.Process.Pid))
	if err != nil || !strings.Contains(string(stat), "() R 1 1 1 (a) b)") {
		t.Fatalf("%s, %v", stat, err)
	}
	after := started(t, startChild(t, "sleep").Process.Pid)
	if got := started(t, misleading.Process.Pid); got < before || got > after {
		t.Errorf("got %d, want from %d to %d", got, before, after)
	}
}

func TestAProcessFolderStaysWithItsProcess(t *testing.T) {
	child := startChild(t, "sleep")
	p, err := openProcess(Proc, fmt.Sprint(child.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if _, err := p.cgroups(); err != nil {
		t.Fatal(err)
	}
	child.end()
	if _, err := p.cgroups(); !gone(err) {
		t.Errorf("got %v, want that it is gone", err)
	}
	if _, err := p.startTime(); !gone(err) {
		t.Errorf("got %v, want that it is gone", err)
	}
}

func TestTextsOfAProcessAreBounded(t *testing.T) {
	proc := newProc(t)
	for size, ok := range map[int]bool{maxProcText: true, maxProcText + 1: false, 3 * maxProcText: false} {
		line := "0::/" + strings.Repeat("a", size-len("0::/\n")) + "\n"
		proc.write("self", line)
		p, err := openProcess(string(proc), "self")
		if err != nil {
			t.Fatal(err)
		}
		groups, err := p.cgroups()
		p.close()
		if (err == nil) != ok || ok && len(groups.unified) != size-len("0::\n") {
			t.Errorf("%d bytes: path of %d, %v", size, len(groups.unified), err)
		}
	}
}

func FuzzStartTime(f *testing.F) {
	f.Add("a", "987654")
	f.Add("", "0")
	f.Add(") R 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 5 (", "18446744073709551615")
	f.Add("((\n", "x")
	f.Fuzz(func(t *testing.T, name, rest string) {
		// Whatever name a process takes, the same number is read.
		stat := "42 (" + name + ") S 1 42 42 0 -1 4194560 101 0 0 0 1 2 0 0 20 0 1 0 987654 1234\n"
		if got, err := parseStartTime(stat); err != nil || got != 987654 {
			t.Errorf("%q: got %d, %v", stat, got, err)
		}
		_, _ = parseStartTime(rest)
	})
}
