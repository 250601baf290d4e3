// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"fmt"
	"strings"
	"testing"
)

func TestAProcDirectoryStaysWithItsProcess(t *testing.T) {
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
		t.Errorf("got %v, want an error that the process is gone", err)
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
