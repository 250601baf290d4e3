// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"regexp"
	"strings"
)

// State is the result of a check.
type State string

// The states. A system with warnings works, and is ok. A system with a broken or an
// unknown check is not ok.
const (
	OK      State = "ok"
	Warning State = "warning"
	Broken  State = "broken"
	Unknown State = "unknown"
)

// Check is the result of one check. Its ID is stable, for programs and for searching;
// the texts may change in later releases.
type Check struct {
	ID      string `json:"id"`
	State   State  `json:"state"`
	Summary string `json:"summary"`          // what is, on a line or two
	Detail  string `json:"detail,omitempty"` // what follows from it, or where it comes from
	Fix     *Fix   `json:"fix,omitempty"`    // what to do about it
}

// Fix says how to fix what a check found: by a command, or by a text for the
// administrator.
type Fix struct {
	Text    string   `json:"text,omitempty"`
	Command string   `json:"command,omitempty"` // for a shell
	Args    []string `json:"-"`                 // the same command, to execute
}

// The IDs, in the order in which a login needs these parts.
const (
	idCockpit      = "cockpit"
	idCertificates = "certificates"
	idProxy        = "proxy"
	idCommand      = "session-command"
	idRule         = "pam-rule"
	idPolicy       = "pam-policy"
	idModule       = "pam-module"
	idSSSD         = "sssd"
	idValidation   = "validation"
	idAuthorities  = "authorities"
	idRevocation   = "revocation-lists"
	idSnippets     = "sssd-snippets"
	idConfig       = "sssd-settings"
	idRules        = "sssd-rules"
	idDomains      = "sssd-domains"
	idCgroups      = "control-groups"
	idProc         = "hidden-processes"
	idSELinux      = "selinux"
	idTickets      = "sudo-by-ticket"
)

func ok(id, summary string) Check { return Check{ID: id, State: OK, Summary: summary} }

func warning(id, summary string, fix *Fix) Check { return Check{id, Warning, summary, "", fix} }

func broken(id, summary string, fix *Fix) Check { return Check{id, Broken, summary, "", fix} }

func unknown(id, summary string, fix *Fix) Check { return Check{id, Unknown, summary, "", fix} }

// because adds a detail.
func (c Check) because(detail string) Check {
	c.Detail = detail
	return c
}

// advise returns a fix that the administrator makes; nil if the text is empty.
func advise(text string) *Fix {
	if text == "" {
		return nil
	}
	return &Fix{Text: text}
}

// run returns a fix that is one command.
func run(args ...string) *Fix { return &Fix{Command: quoted(args), Args: args} }

// after adds when to run the command, or why.
func (f *Fix) after(text string) *Fix {
	f.Text = text
	return f
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoted spells a command for a POSIX shell.
func quoted(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		if words[i] = arg; !plainWord.MatchString(arg) {
			words[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// Report has the checks of a system.
type Report struct {
	OK      bool    `json:"ok"`
	Version string  `json:"version"` // ours
	Checks  []Check `json:"checks"`
	// IDs of checks that need the running system, and were not made.
	Unchecked []string `json:"unchecked,omitempty"`
}

// NewReport returns a report with this program's version.
func NewReport(version string, checks []Check) Report {
	return Report{OK: len(Failed(checks)) == 0, Version: version, Checks: checks}
}

// Failed returns the checks because of which a system is not ok.
func Failed(checks []Check) []Check {
	failed := []Check{}
	for _, check := range checks {
		if check.State == Broken || check.State == Unknown {
			failed = append(failed, check)
		}
	}
	return failed
}
