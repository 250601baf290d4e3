// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// terminal stands in for a test where a package of the tests needs one, and prints
// the transcript.
type terminal struct {
	testing.TB // nil: the methods that are not below are not called
	cleanups   []func()
}

// The methods that the packages of the tests call.
func (t *terminal) Helper() {}

func (t *terminal) Failed() bool { return false }

func (t *terminal) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *terminal) Logf(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "demo: "+format+"\n", arguments...)
}

func (t *terminal) Errorf(format string, arguments ...any) { t.Logf(format, arguments...) }

func (t *terminal) Fatalf(format string, arguments ...any) {
	t.Logf(format, arguments...)
	t.end()
	os.Exit(1)
}

func (t *terminal) Fatal(arguments ...any)                { t.Fatalf("%s", fmt.Sprint(arguments...)) }
func (t *terminal) Skip(arguments ...any)                 { t.Fatal(arguments...) }
func (t *terminal) Skipf(format string, arguments ...any) { t.Fatalf(format, arguments...) }

func (t *terminal) TempDir() string {
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// end undoes everything, the last first.
func (t *terminal) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
	t.cleanups = nil
}

func (t *terminal) heading(text string) { fmt.Printf("\n%s\n", text) }

// row prints what a label says, in lines that fit.
func (t *terminal) row(label, text string) {
	const width = 96
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			fmt.Printf("    %-20s %s\n", label, line)
			label, line = "", "  "+word
		}
	}
	fmt.Printf("    %-20s %s\n", label, line)
}

func (t *terminal) file(title, text string) {
	fmt.Printf("\n%s:\n\n", title)
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		fmt.Println(strings.TrimRight("    "+line, " "))
	}
}
