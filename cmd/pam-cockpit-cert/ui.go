// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// The rules of the program's output:
//
//   - The result goes to standard output, everything else to standard error, after
//     the program's name.
//   - A message says what is wrong and, after a semicolon or colon, what to do next.
//   - Colour is only used on a terminal, never as the only sign of anything, and not
//     if NO_COLOR is set; see no-color.org.
//   - With --json, standard output has one JSON value and nothing else; this includes
//     errors.
//   - Text of other people, such as a certificate's subject, is quoted, so that it
//     cannot send control characters to the terminal.
//   - It is a failure if the output cannot be written.
type ui struct {
	out    *output
	err    io.Writer
	json   bool
	colour bool
}

// output remembers the first error of a writer.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

func newUI(out, err *os.File) *ui {
	return &ui{out: &output{Writer: out}, err: err, colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(out)}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// print prints a value: as JSON for programs, or by a function for people.
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

func (u *ui) sayf(format string, args ...any) { fmt.Fprintf(u.out, format+"\n", harmless(args)...) }

// width is how many columns a line may have, unless one word is longer.
const width = 80

// paragraph prints a lead and a text, and breaks lines between words. The cursor is at
// the column indent, to which further lines are indented.
func (u *ui) paragraph(indent int, lead, text string) {
	fmt.Fprint(u.out, lead)
	column := indent + len(lead)
	for i, word := range strings.Fields(fmt.Sprint(harmless([]any{text})...)) {
		switch {
		case i == 0:
		case column+1+utf8.RuneCountInString(word) > width:
			fmt.Fprint(u.out, "\n", strings.Repeat(" ", indent))
			column = indent
		default:
			fmt.Fprint(u.out, " ")
			column++
		}
		fmt.Fprint(u.out, word)
		column += utf8.RuneCountInString(word)
	}
	fmt.Fprintln(u.out)
}

func (u *ui) warnf(format string, args ...any) {
	fmt.Fprintf(u.err, "pam-cockpit-cert: "+format+"\n", harmless(args)...)
}

func (u *ui) failure(err error) {
	text := err.Error()
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		text += "; try again as root"
	}
	_ = u.print(map[string]string{"error": text}, func() { u.warnf("%s", text) })
}

// styled is the program's own text, with the codes of a colour.
type styled string

// harmless quotes texts with characters that are not printable, such as control
// characters.
func harmless(args []any) []any {
	safe := make([]any, len(args))
	for i, arg := range args {
		if err, ok := arg.(error); ok {
			arg = err.Error()
		}
		if text, ok := arg.(string); ok && (!utf8.ValidString(text) || strings.ContainsFunc(text, unseen)) {
			arg = strconv.Quote(text)
		}
		safe[i] = arg
	}
	return safe
}

func unseen(r rune) bool { return !strconv.IsPrint(r) }

func (u *ui) usage(c *cobra.Command, err error) {
	_ = u.print(map[string]string{"error": err.Error()}, func() {
		u.warnf("%v", err)
		fmt.Fprintf(u.err, "Try: %s --help\n", c.CommandPath())
	})
}
