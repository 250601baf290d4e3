// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"fmt"
	"strings"
)

// maxLine is the size of libpam's buffer without the final NUL, before Linux-PAM
// 1.5.3: longer lines were cut, and the rest, even of a comment, was read as a rule.
const maxLine = 1023

// entry is one line as libpam reads it, or several lines that backslashes join.
type entry struct {
	text  string // without comment and backslashes; empty for a line without a rule
	lines int
}

// assemble reads the entry that starts at a line, an index from 0.
func (f *File) assemble(start int) (entry, error) {
	var text strings.Builder
	size := 0
	for i := start; i < len(f.lines); i++ {
		line := f.lines[i]
		if strings.IndexByte(line, 0) >= 0 {
			return entry{}, &SyntaxError{i + 1, "it has a NUL byte"}
		}
		if size += len(line); size >= maxLine {
			return entry{}, &SyntaxError{i + 1, fmt.Sprintf("it has more than %d bytes, which older releases of Linux-PAM cut: make two lines of it", maxLine-1)}
		}
		content, comment, _ := strings.Cut(line, "#")
		trimmed := strings.TrimRight(content, blanks)
		if i > start && trimmed == "" {
			return entry{}, &SyntaxError{i + 1, "the line before ends in a backslash, and releases of Linux-PAM differ about a blank line or comment after it"}
		}
		commented := comment != "" || strings.Contains(line, "#")
		if !commented && strings.HasSuffix(trimmed, `\`) {
			text.WriteString(strings.TrimSuffix(trimmed, `\`))
			text.WriteByte(' ')
			continue
		}
		text.WriteString(content)
		// For libpam a carriage return is not a blank, but part of a word.
		return entry{strings.TrimRight(strings.TrimLeft(text.String(), blanks), blanks), i - start + 1}, nil
	}
	return entry{}, &SyntaxError{len(f.lines), "the file ends in a line that a backslash continues"}
}
