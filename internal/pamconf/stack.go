// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/safefile"
)

// maxDepth is how deep libpam lets files include each other
// (PAM_SUBSTACK_MAX_LEVEL in libpam/pam_private.h).
const maxDepth = 16

// maxPlaces is how many places on the ways through a stack are tried.
const maxPlaces = 10000

// Included reads a file that a rule includes, where libpam finds it, and returns
// its name in the root.
func (s Service) Included(name string) (*File, string, error) {
	names := []string{name}
	if !filepath.IsAbs(name) {
		names = nil
		for _, dir := range append([]string{ConfigDir}, VendorDirs...) {
			names = append(names, filepath.Join(dir, name))
		}
	}
	for _, name := range names {
		if !safefile.Exists(s.Root, name) {
			continue
		}
		text, err := safefile.ReadFile(s.Root, name, MaxSize)
		if err != nil {
			return nil, name, err
		}
		file, err := Parse(text)
		if err != nil {
			return nil, name, fmt.Errorf("%s: %w", name, err)
		}
		return file, name, nil
	}
	return nil, name, &NoIncludeError{name}
}

// NoIncludeError says that a file that a rule includes does not exist.
type NoIncludeError struct{ Name string }

func (e *NoIncludeError) Error() string { return e.Name + ", which a rule includes, does not exist" }

// Incomplete returns an error if a file that a login's rules include does not exist:
// libpam then fails in the rule's stack, or for all of the service.
func (s Service) Incomplete(file *File, name string) error {
	return s.incomplete(file, name, map[string]bool{})
}

func (s Service) incomplete(file *File, name string, seen map[string]bool) error {
	for _, rule := range file.Rules() {
		if !rule.Includes() || rule.Type == "password" || seen[rule.Module] {
			continue
		}
		seen[rule.Module] = true
		included, path, err := s.Included(rule.Module)
		var none *NoIncludeError
		if errors.As(err, &none) {
			return fmt.Errorf("line %d of %s: %w", rule.Line, name, err)
		}
		if err != nil {
			continue
		}
		if err := s.incomplete(included, filepath.Join(s.Root, path), seen); err != nil {
			return err
		}
	}
	return nil
}

// handler is a rule of a stack in libpam's list, which also has the rules of included
// files, and those of a substack on a level of their own.
type handler struct {
	rule  Rule
	file  string // as the root names it
	level int
}

func (h handler) String() string { return fmt.Sprintf("line %d of %s", h.rule.Line, h.file) }

// stack returns the list of the auth rules of a file after a line, without those that
// accompany the module's.
func (s Service) stack(file *File, name string, after int) ([]handler, error) {
	rules := slices.DeleteFunc(slices.Clone(file.Rules()), func(rule Rule) bool { return rule.Line <= after || s.accompanies(rule) })
	handlers, err := s.expand(rules, name, 0, 0)
	if err != nil {
		return nil, err
	}
	for _, h := range handlers {
		if h.rule.Ours() {
			return nil, fmt.Errorf("%s calls %s as well: remove that rule", h, Module)
		}
	}
	return handlers, nil
}

// expand returns the list of those of a file's rules that are for auth.
func (s Service) expand(rules []Rule, name string, level, depth int) ([]handler, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: files include each other too deep", name)
	}
	var handlers []handler
	for _, rule := range rules {
		here := handler{rule, name, level}
		switch {
		case rule.Type != typeAuth && rule.Type != typeInclude:
			continue
		case !rule.Includes():
			handlers = append(handlers, here)
			continue
		}
		included, path, err := s.Included(rule.Module)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", here, err)
		}
		inner := level
		if rule.Control == controlSubstack {
			handlers, inner = append(handlers, here), level+1
		}
		more, err := s.expand(included.Rules(), path, inner, depth+1)
		if err != nil {
			return nil, err
		}
		handlers = append(handlers, more...)
	}
	return handlers, nil
}

// walk finds every way through a stack by which a user with the right password is
// logged in, like libpam's _pam_dispatch_aux.
type walk struct {
	stack []handler
	been  map[string]bool // the places from which all ways were gone
	found [][]int         // for each way, the rules that ran and ask nothing
}

// place is a place on a way through a stack.
type place struct {
	next     int  // the handler
	positive bool // a module has succeeded, and none failed
	proven   bool // a password was right
	ran      []int
}

// withPassword returns the rules that ask nothing and run whenever a user logs in with
// the right password.
func withPassword(stack []handler) ([]handler, error) {
	w := walk{stack: stack, been: map[string]bool{}}
	if err := w.from(place{}); err != nil {
		return nil, err
	}
	if len(w.found) == 0 {
		return nil, errors.New("no password opens this stack")
	}
	for _, other := range w.found[1:] {
		if i := difference(w.found[0], other); i >= 0 {
			return nil, fmt.Errorf("%s runs at some logins by password, and at others not", stack[i])
		}
	}
	var rules []handler
	for _, i := range w.found[0] {
		rules = append(rules, stack[i])
	}
	return rules, nil
}

// difference returns a number that is in only one of two sorted lists, or -1.
func difference(a, b []int) int {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return b[i]
		case i >= len(b):
			return a[i]
		case a[i] != b[i]:
			return min(a[i], b[i])
		}
	}
	return -1
}

func (w *walk) from(at place) error {
	key := fmt.Sprint(at)
	if w.been[key] {
		return nil
	}
	if w.been[key] = true; len(w.been) > maxPlaces {
		return errors.New("there are too many ways through this stack")
	}
	if at.next >= len(w.stack) {
		if at.positive && at.proven {
			w.found = append(w.found, at.ran)
		}
		return nil
	}
	h := w.stack[at.next]
	if h.rule.Control == controlSubstack {
		at.next++
		return w.from(at)
	}
	success, failure := h.rule.outcome("success"), h.rule.failures()
	passed := at
	switch h.rule.kind() {
	case kindUnknown:
		return fmt.Errorf("%s: it is not known whether %s asks for something", h, h.rule.Module)
	case kindPassword:
		passed.proven = true
	case kindQuiet:
		if h.rule.goesOn() {
			at.ran = append(slices.Clone(at.ran), at.next)
			passed.ran = at.ran
		}
	case kindPermit:
		failure = nil
	case kindDeny:
		success, failure = h.rule.outcome("auth_err"), nil
	}
	if err := w.take(passed, h, success); err != nil {
		return err
	}
	for _, outcome := range failure {
		if err := w.take(at, h, outcome); err != nil {
			return err
		}
	}
	return nil
}

// take follows the way after a handler's module has returned.
func (w *walk) take(at place, h handler, how outcome) error {
	switch how.action {
	case "bad", "die":
		return nil // no login succeeds from here
	case "reset":
		return fmt.Errorf("%s: what runs before a reset cannot be told", h)
	case "ok":
		at.positive = true
	case "done":
		at.positive = true
		// The end of the substack; on level 0, of everything.
		for at.next+1 < len(w.stack) && (h.level == 0 || w.stack[at.next+1].level >= h.level) {
			at.next++
		}
	}
	for range how.jump {
		if at.next+1 >= len(w.stack) || w.stack[at.next+1].level < h.level {
			return nil // libpam lets a jump too far fail
		}
		at.next++
		for at.next+1 < len(w.stack) && w.stack[at.next+1].level > h.level {
			at.next++
		}
	}
	at.next++
	return w.from(at)
}

// outcome returns what a rule's control does with a value.
func (r Rule) outcome(value string) outcome {
	text, keyword := meanings[r.Control]
	if !keyword {
		text = r.Control
	}
	parsed, _ := parseControl(text) // it had no error when the rule was parsed
	for _, wanted := range []string{value, "default"} {
		// As in libpam's table, the last one for a value counts.
		for _, outcome := range slices.Backward(parsed) {
			if outcome.value == wanted {
				outcome.value = ""
				return outcome
			}
		}
	}
	return outcome{action: "bad"}
}

// failures returns the different outcomes of a rule's control for values other than
// success.
func (r Rule) failures() []outcome {
	var failures []outcome
	for _, value := range returns {
		if value == "success" || value == "new_authtok_reqd" || value == "default" {
			continue
		}
		if outcome := r.outcome(value); !slices.Contains(failures, outcome) {
			failures = append(failures, outcome)
		}
	}
	return failures
}

// goesOn reports whether a rule neither controls others nor replaces a password: its
// control has no jump, and success does not end the stack.
func (r Rule) goesOn() bool {
	return len(r.jumps) == 0 && r.outcome("success").action != "done"
}

// text spells the rule on a line of its own.
func (r Rule) text() string {
	words := []string{r.Type, r.Control, r.Module}
	if r.Silent {
		words[0] = "-" + r.Type
	}
	if !slices.Contains(keywords, r.Control) {
		words[1] = "[" + r.Control + "]"
	}
	for _, arg := range r.Args {
		if strings.ContainsAny(arg, blanks) || arg == "" || arg[0] == '[' {
			arg = "[" + strings.ReplaceAll(arg, "]", `\]`) + "]"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
