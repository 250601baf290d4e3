// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package cockpit

import (
	"slices"
	"strings"
)

// Change is a change of one setting, remembered so that it can be undone.
type Change struct {
	Section string  `json:"section"`
	Key     string  `json:"key"`
	Value   string  `json:"value"`         // the new one
	Old     *string `json:"old,omitempty"` // nil if it was not set
	Header  bool    `json:"header"`        // the section was added with it
}

// Set sets a setting, and returns the change; nil if it has the value already.
// The setting keeps its line if it has one. Otherwise it is added directly below
// the section's header, or with a new header at the end.
func (f *Config) Set(section, key, value string) (*Config, *Change) {
	lines := slices.Clone(f.lines)
	change := &Change{Section: section, Key: key, Value: value}
	if s := f.find(section, key); s != nil {
		old := f.value(s)
		if old == value {
			return f, nil
		}
		change.Old = &old
		lines[s.line] = lines[s.line][:s.from] + value + lines[s.line][s.to:]
		return reparsed(lines), change
	}

	added := []string{key + " = " + value + "\n"}
	at := len(lines)
	if header := f.header(section); header >= 0 {
		at = header + 1
	} else {
		change.Header = true
		added = slices.Insert(added, 0, "["+section+"]\n")
		if len(lines) > 0 {
			added = slices.Insert(added, 0, "\n")
		}
	}
	// If the last line has no newline, it gets one, and the added line has none:
	// so Undo can tell.
	if at == len(lines) && at > 0 && !strings.HasSuffix(lines[at-1], "\n") {
		lines[at-1] += "\n"
		last := len(added) - 1
		added[last] = strings.TrimSuffix(added[last], "\n")
	}
	return reparsed(slices.Insert(lines, at, added...)), change
}

// Undo undoes a change. It returns false and the unchanged file if the setting
// was changed since.
func (f *Config) Undo(change Change) (*Config, bool) {
	s := f.find(change.Section, change.Key)
	if s == nil || f.value(s) != change.Value {
		return f, false
	}
	lines := slices.Clone(f.lines)
	if change.Old != nil {
		lines[s.line] = lines[s.line][:s.from] + *change.Old + lines[s.line][s.to:]
		return reparsed(lines), true
	}
	from, to := s.line, s.line+1
	if change.Header && f.headerOnly(s.line) {
		from--
		if from > 0 && lines[from-1] == "\n" {
			from--
		}
	}
	ended := strings.HasSuffix(lines[s.line], "\n")
	lines = slices.Delete(lines, from, to)
	if !ended && from > 0 {
		lines[from-1] = strings.TrimSuffix(lines[from-1], "\n")
	}
	return reparsed(lines), true
}

// headerOnly reports whether a setting is directly below its section's header,
// and the only line of the section.
func (f *Config) headerOnly(line int) bool {
	above := slices.ContainsFunc(f.sections, func(s section) bool { return s.line == line-1 })
	next := line + 1
	for next < len(f.lines) && strings.TrimSpace(f.lines[next]) == "" {
		next++
	}
	below := next == len(f.lines) || slices.ContainsFunc(f.sections, func(s section) bool { return s.line == next })
	return above && below
}

// header returns the index of the section's last header; -1 if there is none.
func (f *Config) header(name string) int {
	for i := len(f.sections) - 1; i >= 0; i-- {
		if strings.EqualFold(f.sections[i].name, name) {
			return f.sections[i].line
		}
	}
	return -1
}

// reparsed parses edited lines. It never fails, because edits only add headers,
// and settings in a section.
func reparsed(lines []string) *Config {
	f, err := ParseConfig([]byte(strings.Join(lines, "")))
	if err != nil {
		panic(err)
	}
	return f
}
