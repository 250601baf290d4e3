// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Control is the control field of the module's rule, see pam_cockpit_cert(8).
const Control = "success=done new_authtok_reqd=done user_unknown=die default=ignore"

// Spelling is the rule as Install writes it. By its exact form it is told from a rule
// that an administrator or another package wrote.
type Spelling struct {
	Module string // Module, or a path that ends in it
	Debug  bool
}

// String returns the rule, without a newline. The leading '-' makes libpam skip the
// rule silently if the module is missing.
func (s Spelling) String() string {
	line := "-" + typeAuth + " [" + Control + "] " + s.Module
	if s.Debug {
		line += " debug"
	}
	return line
}

// Spelled reports whether a rule is written as by Install; options may follow.
func (f *File) Spelled(rule Rule) bool {
	line := strings.TrimSuffix(f.lines[rule.Line-1], "\n")
	own := Spelling{Module: rule.Module}.String()
	if rule.Control == controlGoesOn {
		own = strings.Replace(own, Control, controlGoesOn, 1)
	}
	return rule.Ours() && rule.lines == 1 && (line == own || strings.HasPrefix(line, own+" "))
}

// ErrNoAuth says that the service has no auth rule. The rule must not be added: libpam
// takes the auth rules of such a service from the service `other`, and would no longer
// do that.
var ErrNoAuth = errors.New("the file has no auth rule")

// Insert returns the file with the module's rule before the first one of the auth
// stack. If that is in a block of a configuration tool, the rule goes before the block.
func (f *File) Insert(spelling Spelling) (*File, error) {
	first := f.FirstAuth()
	if first == nil {
		return nil, ErrNoAuth
	}
	edited := slices.Insert(slices.Clone(f.lines), f.before(first.Line)-1, spelling.String()+"\n")
	return f.checked(edited, len(f.rules)+1)
}

// Remove returns the file without the rules that the caller picks.
func (f *File) Remove(pick func(Rule) bool) (*File, error) {
	edited := slices.Clone(f.lines)
	left := len(f.rules)
	for _, rule := range slices.Backward(f.rules) {
		if !pick(rule) {
			continue
		}
		if jump := f.jumpOver(rule); jump != nil {
			return nil, &SyntaxError{jump.Line, fmt.Sprintf("its control may jump over the rule in line %d, and would jump elsewhere without it: change both by hand", rule.Line)}
		}
		edited = slices.Delete(edited, rule.Line-1, rule.Line-1+rule.lines)
		left--
	}
	return f.checked(edited, left)
}

// jumpOver returns a rule that jumps over the given one. The number of rules of an
// included file is not known here, so that a jump over an include counts as well.
func (f *File) jumpOver(target Rule) *Rule {
	distance, unknown := 0, false
	end := slices.IndexFunc(f.rules, func(r Rule) bool { return r.Line == target.Line })
	for i := end - 1; i >= 0; i-- {
		rule := &f.rules[i]
		if rule.Type != target.Type && rule.Type != typeInclude {
			continue
		}
		for _, jump := range rule.jumps {
			if jump > distance || unknown {
				return rule
			}
		}
		distance++
		unknown = unknown || rule.Includes()
	}
	return nil
}

// Respell returns the file with another module path, or with or without debug, in one
// of the module's rules; the rest of the rule stays.
func (f *File) Respell(rule Rule, module string, debug bool) (*File, error) {
	from, to := rule.Line-1, rule.Line-1+rule.lines
	before, after, found := strings.Cut(strings.Join(f.lines[from:to], ""), rule.Module)
	if !found {
		return nil, &SyntaxError{rule.Line, "the module's name is written in a way that cannot be changed in place: edit it by hand"}
	}
	if has := slices.Contains(rule.Args, "debug"); debug && !has {
		after = " debug" + after
	} else if !debug && has {
		content, comment := after, ""
		if i := strings.IndexByte(after, '#'); i >= 0 {
			content, comment = after[:i], after[i:]
		}
		after = cutWord(content, "debug") + comment
	}
	edited := slices.Replace(slices.Clone(f.lines), from, to, strings.SplitAfter(before+module+after, "\n")...)
	return f.checked(slices.DeleteFunc(edited, func(line string) bool { return line == "" }), len(f.rules))
}

// cutWord removes every occurrence of a word, with the blanks before it.
func cutWord(text, word string) string {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return text
		}
		i += from
		end := i + len(word)
		start := len(strings.TrimRight(text[:i], " \t"))
		if start < i && (end == len(text) || strings.ContainsRune(blanks, rune(text[end]))) {
			text, from = text[:start]+text[end:], start
		} else {
			from = end
		}
	}
}

// checked parses the edited text like libpam, before it is written.
func (f *File) checked(lines []string, rules int) (*File, error) {
	edited, err := Parse([]byte(strings.Join(lines, "")))
	if err != nil {
		return nil, fmt.Errorf("the edited file would be refused: %w", err)
	}
	if len(edited.rules) != rules {
		return nil, fmt.Errorf("the edited file would have %d rules, not %d", len(edited.rules), rules)
	}
	return edited, nil
}
