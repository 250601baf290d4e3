// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import "strings"

// Include returns a service file that includes another one, whose updates so still
// take effect.
func Include(path string) []byte {
	var text strings.Builder
	for _, stack := range Types {
		text.WriteString(stack + " " + controlInclude + " " + path + "\n")
	}
	return []byte(text.String())
}

// CommentedOut returns the line, from 1, of a rule of the module that an administrator
// has commented out; 0 if there is none.
func (f *File) CommentedOut() int {
	for i, line := range f.lines {
		text, ok := strings.CutPrefix(strings.TrimLeft(line, blanks), "#")
		if !ok {
			continue
		}
		if comment, err := Parse([]byte(strings.TrimLeft(text, "# \t"))); err == nil && len(comment.Ours()) > 0 {
			return i + 1
		}
	}
	return 0
}
