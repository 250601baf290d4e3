// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The text for the user at the browser when a login fails: what is wrong, and how
// to log in with a password. PAM's own text says what is wrong, if it gives one.
const (
	failed       = "This system failed to start the login; its log has the reason."
	unanswerable = "This login needs an answer, which Cockpit does not take along with a certificate."
	advice       = "To log in with a password, use a browser profile without the certificate."
)

// How many characters of PAM's text are shown, where it becomes the reason phrase of an
// HTTP response, and logged, on one line of the journal.
const (
	maxText = 400
	maxLog  = 2000
)

// Sentence returns the text for the login page, on one line: of PAM's text, which may
// be long or empty, and of what the relay adds to it.
func Sentence(text string, added ...string) string {
	text = cut(Line(text), maxText)
	said := strings.TrimSpace(text + " " + strings.Join(added, " "))
	switch last, _ := utf8.DecodeLastRuneInString(said); {
	case said == "":
		said = failed
	case strings.Contains(said, advice): // pam_cockpit_cert's own texts
		return said
	case !unicode.Is(unicode.STerm, last) && !strings.ContainsRune(":\u2026\uff1a", last): // or a colon or an ellipsis
		said += "."
	}
	return said + " " + advice
}

// cut cuts off what is longer than so many characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// sequence matches what a terminal does not show, such as a change of colour: a control
// sequence, a control string, or another escape sequence (ECMA-48, 5.4, 5.6, and ECMA-35,
// 13.2). xterm also ends a control string by BEL.
var sequence = regexp.MustCompile(`(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]` +
	`|(?:\x1b[PX\]^_]|[\x{90}\x{98}\x{9d}-\x{9f}])[^\x1b\x{9c}\a]*(?:\x1b\\|[\x{9c}\a])` +
	`|\x1b[ -/]*[0-~]`)

// Line returns a text on one line, without control characters and escape sequences.
func Line(text string) string {
	text = sequence.ReplaceAllString(strings.ToValidUTF8(text, "?"), "")
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c)
	}), " ")
}
