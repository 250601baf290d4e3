// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package pamconf adds the module's rule to a service of a system's PAM
// configuration, and removes it. It changes only the bytes of a service file, see
// pam.d(5), that it has to.
//
// libpam decides what a file means, sometimes in a surprising way. If releases of
// Linux-PAM differ, or a file works only by accident, the package rejects the file
// and does not guess. An administrator can fix a rejected file by hand; a file that
// is misread could lock users out.
package pamconf

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// Module is the module's file name.
const Module = "pam_cockpit_cert.so"

// MaxSize is the size of the largest service file, in bytes. Real ones have less than
// a tenth of that.
const MaxSize = 64 << 10

// File is a service file. It keeps the whole text.
type File struct {
	lines []string // with newlines
	rules []Rule
}

// Rule is a rule as libpam reads it.
type Rule struct {
	Line    int    // the first line that it is on, from 1
	Silent  bool   // a leading '-': a missing module is not logged
	Type    string // auth, account, password, session; or @include, which is Debian's
	Control string // without brackets
	Module  string // or the included file
	Args    []string

	lines int   // the number of its lines
	jumps []int // the numbers of rules that its control may jump over
}

// SyntaxError says which line libpam would reject, or read in a way that its author
// cannot have meant.
type SyntaxError struct {
	Line   int
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Parse reads a service file; errors are of type *SyntaxError.
func Parse(text []byte) (*File, error) {
	if len(text) > MaxSize {
		return nil, &SyntaxError{1, fmt.Sprintf("the file has %d bytes, which no service file has", len(text))}
	}
	f := &File{}
	for rest := text; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		f.lines = append(f.lines, string(rest[:end]))
		rest = rest[end:]
	}
	for next := 0; next < len(f.lines); {
		entry, err := f.assemble(next)
		if err != nil {
			return nil, err
		}
		if entry.text != "" {
			rule, err := parseRule(entry.text)
			if err != nil {
				return nil, &SyntaxError{next + 1, err.Error()}
			}
			rule.Line, rule.lines = next+1, entry.lines
			f.rules = append(f.rules, rule)
		}
		next += entry.lines
	}
	return f, nil
}

// Bytes returns the text, with the edits.
func (f *File) Bytes() []byte { return []byte(strings.Join(f.lines, "")) }

// Rules returns the rules in their order.
func (f *File) Rules() []Rule { return f.rules }

// Ours returns the rules that call this module, wherever it is installed and in
// whichever stack they are.
func (f *File) Ours() []Rule {
	var ours []Rule
	for _, rule := range f.rules {
		if rule.Ours() {
			ours = append(ours, rule)
		}
	}
	return ours
}

// Ours reports whether the rule calls this module.
func (r Rule) Ours() bool { return !r.Includes() && path.Base(r.Module) == Module }

// Includes reports whether the rule stands for the rules of another file.
func (r Rule) Includes() bool {
	return r.Type == typeInclude || r.Control == controlInclude || r.Control == controlSubstack
}

// FirstAuth returns the first rule of the auth stack, or an earlier include that may
// have auth rules; nil if there is none.
func (f *File) FirstAuth() *Rule {
	for i, rule := range f.rules {
		if rule.Type == typeAuth || rule.Type == typeInclude {
			return &f.rules[i]
		}
	}
	return nil
}
