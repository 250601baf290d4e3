// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// How we talk to people:
//
//   - What was asked for goes to standard output, everything else to standard
//     error, after our name.
//   - A sentence says what is, and after a semicolon or colon what to do next.
//   - Colour only on a terminal, never as the only sign of anything, and not
//     if NO_COLOR is set; see no-color.org.
//   - With --json, standard output has one JSON value and nothing else, errors
//     included.
type ui struct {
	out, err io.Writer
	json     bool
	colour   bool
}

func newUI(out, err *os.File) *ui {
	return &ui{out: out, err: err, colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(out)}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// print prints a value, for programs as it is, for people by a function.
func (u *ui) print(value any, people func()) error {
	if !u.json {
		people()
		return nil
	}
	encoder := json.NewEncoder(u.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func (u *ui) sayf(format string, args ...any) { fmt.Fprintf(u.out, format+"\n", args...) }

func (u *ui) warnf(format string, args ...any) {
	fmt.Fprintf(u.err, "pam-cockpit-cert: "+format+"\n", args...)
}

func (u *ui) failure(err error) {
	_ = u.print(map[string]string{"error": err.Error()}, func() { u.warnf("%v", err) })
}

func (u *ui) usage(c *cobra.Command, err error) {
	_ = u.print(map[string]string{"error": err.Error()}, func() {
		u.warnf("%v", err)
		fmt.Fprintf(u.err, "Try: %s --help\n", c.CommandPath())
	})
}
