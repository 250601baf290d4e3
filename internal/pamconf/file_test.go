// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatIsRefusedIsRefusedWithItsLine(t *testing.T) {
	for _, test := range []struct {
		name, text string
		line       int
		reason     string
	}{
		{"a type that is none", "auth required a.so\nauht required a.so\n", 2, `"auht" is not a type`},
		{"no control", "\nauth\n", 2, "no control"},
		{"no module", "auth required\n", 1, "no module"},
		{"a misspelled keyword", "auth require a.so\n", 1, `"require"`},
		{"an unknown return value", "auth [sucess=ok] a.so\n", 1, "return value"},
		{"an unknown action", "auth [success=okay] a.so\n", 1, "return value"},
		{"no action", "auth [success=] a.so\n", 1, "action"},
		{"no equals sign", "auth [success ok] a.so\n", 1, "'='"},
		{"a jump over nothing", "auth [success=0] a.so\n", 1, "jump"},
		{"a control without its end", "auth [success=ok a.so\n", 1, "no ]"},
		{"a continued last line", "auth required a.so\nauth required b.so \\\n", 2, "backslash"},
		{"a blank line after a backslash", "auth required b.so \\\n\n", 2, "releases"},
		{"a comment after a backslash", "auth required b.so \\\n  # x\nx\n", 2, "releases"},
		{"a NUL byte", "auth required a.so\n\x00\n", 2, "NUL"},
		{"a long comment", "#" + strings.Repeat("x", 1022) + "\n", 1, "bytes"},
		{"long continued lines", "auth required a.so \\\n" + strings.Repeat("x", 500) + "\\\n" + strings.Repeat("x", 500) + "\n", 3, "bytes"},
		{"a carriage return in a module's name", "auth required a.so\r\n", 1, "carriage return"},
		{"a carriage return alone in its line", "auth required a.so x\r\n\r\n", 2, "is not a type"},
		{"an @include of two files", "@include a b\n", 1, "@include"},
		{"a large file", strings.Repeat("#\n", MaxSize), 1, "bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.text))
			var refused *SyntaxError
			if !errors.As(err, &refused) || refused.Line != test.line || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %v, want line %d and %q", err, test.line, test.reason)
			}
		})
	}
}

func TestARuleIsReadAsLibpamReadsIt(t *testing.T) {
	file := parse(t, "\n# x\n-AUTH [success=done \\\n\tdefault=2] \"a b\" [c d] [e\\]f]g # h\n")
	rules := file.Rules()
	if len(rules) != 1 {
		t.Fatalf("%d rules", len(rules))
	}
	rule := rules[0]
	if rule.Line != 3 || rule.lines != 2 || !rule.Silent || rule.Type != "auth" || rule.Module != `"a` {
		t.Errorf("got %+v", rule)
	}
	if got := strings.Join(rule.Args, "|"); got != `b"|c d|e]f|g` {
		t.Errorf("arguments %s", got)
	}
}
