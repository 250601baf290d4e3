// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package cockpit

import (
	"fmt"
	"regexp"
	"strings"
)

// The three forms of a line, without its newline.
var (
	sectionForm = regexp.MustCompile(`^[[:space:]]*\[([^][[:cntrl:]]+)\][[:space:]]*$`)
	settingForm = regexp.MustCompile(`^[[:space:]]*([[:alnum:]-]+)[[:space:]]*=[[:space:]]*(.*)$`)
	ignoredForm = regexp.MustCompile(`^[[:space:]]*(#.*)?$`)
)

// Config is a cockpit.conf(5). It keeps the whole text, and an edit changes only
// the bytes that it has to.
type Config struct {
	lines    []string // with newlines
	settings []setting
	sections []section
}

type section struct {
	name string
	line int // index of the header
}

type setting struct {
	section, key string
	line         int // index
	from, to     int // the value within the line
}

// ConfigSyntaxError says which line makes Cockpit ignore the file.
type ConfigSyntaxError struct {
	Line   int
	Reason string
}

func (e *ConfigSyntaxError) Error() string {
	return fmt.Sprintf("line %d: %s; Cockpit ignores the whole file because of it", e.Line, e.Reason)
}

// ParseConfig parses a cockpit.conf like Cockpit since release 196
// (src/common/cockpitconf.c). Because of one malformed line Cockpit ignores the
// whole file. Names are compared without regard to case, the last of several
// equal settings counts, and a value extends to the end of its line, including
// blanks and comments. Errors are of type *ConfigSyntaxError.
func ParseConfig(text []byte) (*Config, error) {
	f := &Config{}
	if len(text) > 0 {
		f.lines = strings.SplitAfter(string(text), "\n")
		if last := len(f.lines) - 1; f.lines[last] == "" {
			f.lines = f.lines[:last]
		}
	}
	for i, line := range f.lines {
		line = strings.TrimSuffix(line, "\n")
		if strings.IndexByte(line, 0) >= 0 {
			return nil, &ConfigSyntaxError{i + 1, "it has a NUL byte"}
		}
		if match := sectionForm.FindStringSubmatch(line); match != nil {
			f.sections = append(f.sections, section{match[1], i})
		} else if match := settingForm.FindStringSubmatchIndex(line); match != nil {
			if len(f.sections) == 0 {
				return nil, &ConfigSyntaxError{i + 1, "there is no [section] before the setting"}
			}
			f.settings = append(f.settings, setting{
				section: f.sections[len(f.sections)-1].name,
				key:     line[match[2]:match[3]],
				line:    i, from: match[4], to: match[5],
			})
		} else if !ignoredForm.MatchString(line) {
			return nil, &ConfigSyntaxError{i + 1, malformed(line)}
		}
	}
	return f, nil
}

// malformed returns what is wrong with a line that has none of the forms.
func malformed(line string) string {
	trimmed := strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(line, "\ufeff"):
		return "it begins with a byte order mark"
	case strings.HasPrefix(trimmed, ";"):
		return "a comment begins with #, not with ;"
	case strings.HasPrefix(trimmed, "[") && strings.Contains(trimmed, "]"):
		return "there is text after the [section]"
	}
	return "it is neither a [section] nor a setting nor a comment"
}

// Elsewhere returns the line, from 1, and the section of a setting of that name in a
// section where Cockpit does not read it; line 0 if there is none.
func (f *Config) Elsewhere(section, key string) (line int, other string) {
	for _, s := range f.settings {
		if strings.EqualFold(s.key, key) && !strings.EqualFold(s.section, section) {
			return s.line + 1, s.section
		}
	}
	return 0, ""
}

// Bytes returns the text, with the edits.
func (f *Config) Bytes() []byte { return []byte(strings.Join(f.lines, "")) }

// Get returns the value of a setting, and its line, from 1; line 0 if it is not set.
func (f *Config) Get(section, key string) (value string, line int) {
	s := f.find(section, key)
	if s == nil {
		return "", 0
	}
	return f.value(s), s.line + 1
}

func (f *Config) value(s *setting) string { return f.lines[s.line][s.from:s.to] }

// IsTrue reads a value like Cockpit: only yes, true and 1 are true.
func IsTrue(value string) bool {
	return strings.EqualFold(value, "yes") || strings.EqualFold(value, "true") || value == "1"
}

func (f *Config) find(section, key string) *setting {
	for i := len(f.settings) - 1; i >= 0; i-- {
		if s := &f.settings[i]; strings.EqualFold(s.section, section) && strings.EqualFold(s.key, key) {
			return s
		}
	}
	return nil
}
