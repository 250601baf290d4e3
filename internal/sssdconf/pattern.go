// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import "strings"

// Pattern returns a regular expression for <SUBJECT> or <ISSUER> of sss-certmap(5)
// that matches this name. It is one of POSIX's extended ones. For '<' and '>', which
// would begin the next component, it has a dot, which matches any character.
func Pattern(text string) string {
	var b strings.Builder
	b.WriteByte('^')
	for _, c := range text {
		switch {
		case strings.ContainsRune(`.[]()*+?{}|^$\`, c):
			b.WriteString(`\` + string(c))
		case c == '<' || c == '>':
			b.WriteByte('.')
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('$')
	return b.String()
}
