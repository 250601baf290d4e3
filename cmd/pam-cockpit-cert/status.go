// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/diagnose"
	"pam_cockpit_cert/internal/infopipe"
)

// sessionCommand is set by the linker.
var sessionCommand = "/usr/libexec/pam_cockpit_cert/cockpit-cert-session"

// patience is how long all questions of status to other programs may take.
const patience = 30 * time.Second

func (s *settings) system() diagnose.System {
	return diagnose.System{Root: s.root, Service: "cockpit", Command: sessionCommand, Bus: infopipe.SystemBus, Now: time.Now()}
}

// report makes the checks of the system.
func (s *settings) report(ctx context.Context) diagnose.Report {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	system := s.system()
	report := diagnose.NewReport(version, system.Checks(ctx))
	report.Unchecked = system.Unchecked()
	return report
}

func statusCommand(s *settings) *cobra.Command {
	var fix bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Check everything that a login by certificate needs",
		Long: `Check everything that a login by certificate needs, and say how to fix what is
broken. The exit status is 0 if everything is ok, not counting warnings.

With --fix, run the fixes that are commands, after asking about each.`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if fix && s.ui.json {
				return &usageError{errors.New("--fix asks people: it cannot be used with --json")}
			}
			report := s.report(c.Context())
			if err := s.ui.print(report, func() { s.ui.checks(report.Checks) }); err != nil {
				return err
			}
			if fix {
				changed, err := s.fix(c, report.Checks)
				if err != nil {
					return err
				}
				if changed {
					s.ui.sayf("")
					report = s.report(c.Context())
					s.ui.checks(report.Checks)
				}
			}
			if len(report.Unchecked) > 0 && !s.ui.json {
				s.ui.sayf("SSSD, control groups and SELinux: only the running system can tell.")
			}
			if !report.OK {
				return errNotWell
			}
			return nil
		},
	}
	c.Flags().BoolVar(&fix, "fix", false, "run the fixes that are commands, after asking about each")
	return c
}

// fix runs the commands that fix the checks, each once and only if the administrator
// confirms it. It returns whether it ran any.
func (s *settings) fix(c *cobra.Command, checks []diagnose.Check) (changed bool, err error) {
	answers := bufio.NewReader(c.InOrStdin())
	var asked []string
	for _, check := range checks {
		if check.Fix == nil || check.Fix.Command == "" || slices.Contains(asked, check.Fix.Command) {
			continue
		}
		asked = append(asked, check.Fix.Command)
		fmt.Fprintf(s.ui.out, "\nrun %s ? [y/N] ", harmless([]any{check.Fix.Command})...)
		answer, err := answers.ReadString('\n')
		if errors.Is(err, io.EOF) {
			s.ui.sayf("") // where a terminal's Enter would have left the cursor
		} else if err != nil {
			return changed, err
		}
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			continue
		}
		changed = true
		if err := s.execute(c.Context(), check.Fix.Args); err != nil {
			return changed, fmt.Errorf("%s: %w", check.Fix.Command, err)
		}
	}
	if len(asked) == 0 {
		s.ui.sayf("\nno fix is a command: see above what else to do")
	}
	return changed, nil
}

// execute runs a command of a fix. For pam-cockpit-cert it runs this program, wherever
// it is installed.
func (s *settings) execute(ctx context.Context, args []string) error {
	program := args[0]
	if program == "pam-cockpit-cert" {
		var err error
		if program, err = os.Executable(); err != nil {
			return err
		}
	}
	command := exec.CommandContext(ctx, program, args[1:]...)
	command.Stdout, command.Stderr = s.ui.out, s.ui.err
	return command.Run()
}

// marks has the word and the colour with which a state begins a line.
var marks = map[diagnose.State]struct{ word, colour string }{
	diagnose.OK:      {"ok", "32"},
	diagnose.Warning: {"warning", "33"},
	diagnose.Broken:  {"BROKEN", "31;1"},
	diagnose.Unknown: {"unknown", "33"},
}

// markWidth is the width of the longest mark and a blank.
const markWidth = 8

func (u *ui) checks(checks []diagnose.Check) {
	margin := strings.Repeat(" ", markWidth)
	for _, check := range checks {
		mark := marks[check.State]
		fmt.Fprint(u.out, string(u.coloured(mark.colour, mark.word)), strings.Repeat(" ", markWidth-len(mark.word)))
		u.paragraph(markWidth, check.ID+": ", check.Summary)
		if check.Detail != "" {
			fmt.Fprint(u.out, margin)
			u.paragraph(markWidth, "", check.Detail)
		}
		if check.Fix == nil {
			continue
		}
		if check.Fix.Text != "" {
			fmt.Fprint(u.out, margin)
			u.paragraph(markWidth, "-> ", check.Fix.Text)
		}
		if check.Fix.Command != "" {
			u.sayf("%s$ %s", styled(margin), check.Fix.Command)
		}
	}
}

// coloured wraps text in a colour of ECMA-48, if colour is wanted.
func (u *ui) coloured(colour, text string) styled {
	if !u.colour || colour == "" {
		return styled(text)
	}
	return styled("\x1b[" + colour + "m" + text + "\x1b[0m")
}
