// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// blanks are the characters that separate words for libpam.
const blanks = " \t\n"

const (
	typeAuth    = "auth"
	typeInclude = "@include"

	controlInclude  = "include"
	controlSubstack = "substack"
)

// Types are the four stacks.
var Types = []string{typeAuth, "account", "password", "session"}

var keywords = []string{"required", "requisite", "sufficient", "optional", controlInclude, controlSubstack}

// meanings of the keywords, from pam.d(5).
var meanings = map[string]string{
	"required":   "success=ok new_authtok_reqd=ok ignore=ignore default=bad",
	"requisite":  "success=ok new_authtok_reqd=ok ignore=ignore default=die",
	"sufficient": "success=done new_authtok_reqd=done default=ignore",
	"optional":   "success=ok new_authtok_reqd=ok default=ignore",
}

// split splits a rule into words like libpam. A word that starts with `[` extends to
// the next `]`, except `\]`.
//
// Without a `]`, libpam takes the rest of the line, including the newline.
func split(text string) (words []string, err error) {
	for {
		text = strings.TrimLeft(text, blanks)
		if text == "" {
			return words, nil
		}
		if text[0] != '[' {
			end := strings.IndexAny(text, blanks)
			if end < 0 {
				end = len(text)
			}
			words = append(words, text[:end])
			// libpam overwrites the blank that ends a word.
			text = text[min(end+1, len(text)):]
			continue
		}
		var word strings.Builder
		i := 1
		for ; i < len(text) && text[i] != ']'; i++ {
			if text[i] == '\\' && i+1 < len(text) && text[i+1] == ']' {
				i++
			}
			word.WriteByte(text[i])
		}
		if i == len(text) {
			return words, fmt.Errorf("there is no ] after %.60q", text)
		}
		words = append(words, word.String())
		text = text[i+1:]
	}
}

// parseRule parses one rule. It rejects what libpam would log an error about.
func parseRule(text string) (Rule, error) {
	var rule Rule
	words, err := split(text)
	if err != nil {
		return rule, err
	}
	if strings.EqualFold(words[0], typeInclude) {
		rule.Type = typeInclude
		if len(words) != 2 {
			return rule, errors.New("@include takes the name of one file")
		}
		rule.Module = words[1]
		return rule, carriageReturn(rule.Module)
	}

	name, silent := strings.CutPrefix(words[0], "-")
	rule.Silent, rule.Type = silent, strings.ToLower(name)
	if !slices.Contains(Types, rule.Type) {
		return rule, fmt.Errorf("%.60q is not a type: it has to be auth, account, password or session", words[0])
	}
	if len(words) < 2 {
		return rule, fmt.Errorf("there is no control after %q", words[0])
	}
	rule.Control = words[1]
	if keyword := strings.ToLower(rule.Control); slices.Contains(keywords, keyword) {
		rule.Control = keyword
	} else {
		outcomes, err := parseControl(rule.Control)
		if err != nil {
			return rule, fmt.Errorf("the control %.120q: %w", rule.Control, err)
		}
		for _, outcome := range outcomes {
			if outcome.jump > 0 {
				rule.jumps = append(rule.jumps, outcome.jump)
			}
		}
	}
	if len(words) < 3 {
		return rule, fmt.Errorf("there is no module after the control %.120q", rule.Control)
	}
	rule.Module = words[2]
	rule.Args = words[3:]
	if err := carriageReturn(rule.Module); err != nil {
		return rule, err
	}
	if !rule.Includes() && !loadable(rule.Module) {
		return rule, fmt.Errorf("%.60q names no module: libpam would refuse the whole file", rule.Module)
	}
	return rule, nil
}

// loadable reports whether libpam finds a module's name in a path: its last element
// without an extension. libpam uses "?" for modules whose name it does not find
// (extract_modulename in libpam/pam_handlers.c).
func loadable(module string) bool {
	name := module[strings.LastIndexByte(module, '/')+1:]
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name = name[:dot]
	}
	return name != "" && name != "?"
}

// carriageReturn rejects a line that ends in the way of Windows if the carriage return
// would be part of a file's name.
func carriageReturn(name string) error {
	if strings.HasSuffix(name, "\r") {
		return errors.New("it ends in a carriage return, which libpam takes for a part of the name before it: save the file with Unix line ends")
	}
	return nil
}
