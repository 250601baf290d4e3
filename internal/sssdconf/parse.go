// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// SyntaxError says which line makes SSSD reject the whole file.
type SyntaxError struct {
	Line   int
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d: %s; SSSD refuses the whole file because of it", e.Line, e.Reason)
}

// entry is a setting of a section, or a section's header, without a key.
type entry struct {
	section, key, value string
	line                int
}

// whitespace are the characters of isspace(3), in the C locale.
const whitespace = " \t\n\v\f\r"

// parse parses a file like SSSD's ini library (ini_parse.c in ding-libs, without
// wrapped lines). A section and a comment begin in the first column, a setting may be
// indented, and comments may be in C's form. Any other line makes the library reject
// the file.
func parse(text []byte) ([]entry, error) {
	var entries []entry
	section, comment := "", false
	lines := strings.Split(decoded(text), "\n")
	for i, line := range lines {
		fail := func(reason string) ([]entry, error) { return nil, &SyntaxError{i + 1, reason} }
		trimmed := strings.Trim(line, whitespace)
		switch {
		case comment || strings.HasPrefix(line, "/*"):
			comment = !strings.HasSuffix(trimmed, "*/") || !comment && len(trimmed) < len("/**/")
		case trimmed == "" || line[0] == '#' || line[0] == ';' || strings.HasPrefix(line, "//"):
		case line[0] == '[':
			name, closed := strings.CutSuffix(trimmed[1:], "]")
			if section = strings.Trim(name, whitespace); !closed {
				return fail("a section's name does not end in ]")
			} else if section == "" {
				return fail("the section has no name")
			}
			entries = append(entries, entry{section: section, line: i + 1})
		default:
			key, value, found := strings.Cut(trimmed, "=")
			if key = strings.TrimRight(key, whitespace); !found {
				return fail("there is no = in it")
			} else if key == "" {
				return fail("there is nothing before the =")
			}
			if section != "" {
				entries = append(entries, entry{section, key, strings.TrimLeft(value, whitespace), i + 1})
			}
		}
	}
	if comment {
		return nil, &SyntaxError{len(lines), "a comment does not end"}
	}
	return entries, nil
}

// decoded returns a text in UTF-8. Like SSSD's ini library, it knows the other encodings
// by their byte order mark.
func decoded(text []byte) string {
	for _, form := range []struct {
		mark  string
		size  int
		order binary.ByteOrder
	}{
		{"\xff\xfe\x00\x00", 4, binary.LittleEndian}, // before UTF-16, whose mark it begins with
		{"\x00\x00\xfe\xff", 4, binary.BigEndian},
		{"\xff\xfe", 2, binary.LittleEndian},
		{"\xfe\xff", 2, binary.BigEndian},
	} {
		rest, marked := bytes.CutPrefix(text, []byte(form.mark))
		if !marked {
			continue
		}
		if form.size == 4 {
			var runes []rune
			for ; len(rest) >= 4; rest = rest[4:] {
				runes = append(runes, rune(form.order.Uint32(rest)))
			}
			return string(runes)
		}
		var units []uint16
		for ; len(rest) >= 2; rest = rest[2:] {
			units = append(units, form.order.Uint16(rest))
		}
		return string(utf16.Decode(units))
	}
	return strings.TrimPrefix(string(text), "\ufeff")
}
