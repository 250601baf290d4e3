// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"strings"
	"unicode"
)

// The text for the user at the browser when a login fails: what is wrong, and how
// to log in with a password. PAM's own text says what is wrong, if it gives one.
const (
	failed = "This system failed to start the login; its log has the reason."
	advice = "To log in with a password, use a browser profile without the certificate."
)

// maxText is how many characters of PAM's text are shown: it becomes the reason
// phrase of an HTTP response.
const maxText = 400

// Sentence returns the text for the login page, on one line.
func Sentence(text string) string {
	text = Line(text)
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "..."
	}
	switch {
	case text == "":
		text = failed
	case strings.Contains(text, advice): // pam_cockpit_cert's own texts
		return text
	case !strings.ContainsRune(".!?:", rune(text[len(text)-1])):
		text += "."
	}
	return text + " " + advice
}

// Line returns a text on one line, without control characters.
func Line(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c)
	}), " ")
}
