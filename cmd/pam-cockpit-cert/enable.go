// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/diagnose"
	"pam_cockpit_cert/internal/pamconf"
	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/sssdconf"
)

const restart = "systemctl try-restart cockpit"

// applying has the options of the commands that change a system.
type applying struct {
	dryRun bool // print the changes like diff -u, and make none
	now    bool // restart the services that have to read their configuration again
}

func (a *applying) flags(c *cobra.Command) {
	c.Flags().BoolVar(&a.dryRun, "dry-run", false, "print what would change, and change nothing")
	a.restarts(c)
}

func (a *applying) restarts(c *cobra.Command) {
	c.Flags().BoolVar(&a.now, "now", false, "restart Cockpit, which ends the sessions in it")
}

func (a *applying) check(s *settings) error {
	switch {
	case a.dryRun && a.now:
		return &usageError{errors.New("--dry-run changes nothing, so that there is nothing to restart")}
	case a.now && s.root != "/":
		return &usageError{errors.New("--now restarts this system's Cockpit, not one below --root")}
	}
	return nil
}

func enableCommand(s *settings) *cobra.Command {
	var how applying
	c := &cobra.Command{
		Use:   "enable",
		Short: "Turn certificates on in Cockpit",
		Long: `Turn certificates on in cockpit.conf, have them go through PAM where this
Cockpit would not by itself, and put the module's rule into the PAM service
cockpit. Then say what else is missing.

Where the module or the session command is not installed, every browser with a
certificate would be locked out: nothing is changed then.`,
		Example: "  pam-cockpit-cert enable --dry-run\n" +
			"  pam-cockpit-cert enable --now",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := how.check(s); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			return s.enable(ctx, how, enabled{})
		},
	}
	how.flags(c)
	return c
}

// enable turns certificates on, and reports that besides what was done before.
func (s *settings) enable(ctx context.Context, how applying, done enabled) error {
	service := s.cockpitService()
	wanted, changes, err := s.previewEnable(ctx, service)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if how.dryRun {
		return s.ui.diffs(changes)
	}
	rule, err := service.Install(pamconf.InstallOptions{})
	if err != nil {
		return err
	}
	report, err := cockpit.EnableCertificates(s.root, wanted)
	if err != nil {
		return err
	}
	if how.now {
		if err := restartCockpit(ctx); err != nil {
			return err
		}
	}
	done.Report, done.Rule, done.Missing = report, rule, diagnose.Failed(s.system().Checks(ctx))
	if s.restarts(report, how) {
		done.Restart = append(done.Restart, restart)
	}
	return s.ui.print(done, func() {
		if rule.Changed {
			s.ui.sayf("%s", rule.Message)
		}
		for _, warning := range rule.Warnings {
			s.ui.warnf("%s", warning)
		}
		if report.Changed {
			s.changes(report, "set", how)
		} else {
			s.ui.sayf("certificates are on in %s: nothing to do", report.File)
		}
		if len(done.Missing) > 0 {
			s.ui.sayf("\nA login needs more:")
			s.ui.checks(done.Missing)
		}
	})
}

func (s *settings) cockpitService() pamconf.Service {
	return pamconf.Service{Root: s.root, Name: "cockpit"}
}

// previewEnable returns what enable would change, or why it must not.
func (s *settings) previewEnable(ctx context.Context, service pamconf.Service) (wanted []cockpit.Change, changes []safefile.Change, err error) {
	release, err := cockpit.InstalledVersion(ctx, s.root)
	if err != nil && !errors.Is(err, cockpit.ErrNotInstalled) {
		return nil, nil, err
	}
	command := ""
	if release.NeedsCommand() {
		command = sessionCommand
	}
	wanted = cockpit.CertificateSettings(command)
	rule, err := service.Preview(pamconf.InstallOptions{})
	if err != nil {
		return nil, nil, err
	}
	config, err := cockpit.PreviewCertificates(s.root, wanted)
	if err != nil {
		return nil, nil, err
	}
	if err := s.system().Obstacle(ctx); err != nil {
		return nil, nil, err
	}
	return wanted, append(rule, config), nil
}

// enabled is the result of enable for programs.
type enabled struct {
	cockpit.Report
	Rule    pamconf.Report   `json:"rule"`
	Missing []diagnose.Check `json:"missing"`
	Wrote   []string         `json:"wrote,omitempty"`   // SSSD's files, by setup
	Restart []string         `json:"restart,omitempty"` // commands after which it takes effect
}

// diffs prints changes that are not made.
func (u *ui) diffs(changes []safefile.Change) error {
	texts, files := []string{}, []string{}
	for _, change := range changes {
		if change.Changes() {
			texts, files = append(texts, change.Diff()), append(files, change.Path)
		}
	}
	return u.print(map[string]any{"diff": texts, "files": files}, func() {
		for _, text := range texts {
			for line := range strings.Lines(text) {
				u.sayf("%s", strings.TrimSuffix(line, "\n"))
			}
		}
		if len(texts) == 0 {
			u.sayf("nothing to do")
		}
	})
}

func restartCockpit(ctx context.Context) error {
	words := strings.Fields(restart)
	if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("cockpit.conf is changed, but Cockpit did not restart: %s: %w%s", restart, err, after(out))
	}
	return nil
}

func disableCommand(s *settings) *cobra.Command {
	var how applying
	c := &cobra.Command{
		Use:               "disable",
		Short:             "Undo what enable and setup changed, and nothing else",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := how.check(s); err != nil {
				return err
			}
			report, err := cockpit.DisableCertificates(s.root)
			if err != nil {
				return err
			}
			removed, left, err := sssdconf.Undo(s.root)
			if err != nil {
				return err
			}
			if how.now {
				ctx, cancel := context.WithTimeout(c.Context(), patience)
				defer cancel()
				if err := restartCockpit(ctx); err != nil {
					return err
				}
			}
			result := disabled{Report: report, Removed: append(removed, report.Removed...), Kept: left}
			if s.restarts(report, how) {
				result.Restart = []string{restart}
			}
			err = s.ui.print(result, func() {
				if report.Changed {
					s.changes(report, "took out", how)
				} else {
					s.ui.sayf("nothing that enable changed is in %s", report.File)
				}
				for _, path := range result.Removed {
					s.ui.sayf("removed %s", path)
				}
				for _, line := range report.Left {
					s.ui.warnf("%s was there before enable, or others wrote it: edit %s to remove it", line, filepath.Clean(report.File))
				}
				for _, path := range left {
					s.ui.warnf("%s was changed since setup wrote it: remove it if it is to go", path)
				}
			})
			if err == nil && len(report.Left)+len(left) > 0 {
				return errNotWell
			}
			return err
		},
	}
	how.restarts(c)
	return c
}

// disabled is the result of disable for programs.
type disabled struct {
	cockpit.Report
	Removed []string `json:"removed,omitempty"` // files that setup wrote, and empty directories
	Kept    []string `json:"kept,omitempty"`    // which were changed since
	Restart []string `json:"restart,omitempty"` // commands after which it takes effect
}

// restarts reports whether Cockpit has to be restarted, and was not.
func (s *settings) restarts(report cockpit.Report, how applying) bool {
	return report.Changed && s.root == "/" && !how.now
}

func (s *settings) changes(report cockpit.Report, verb string, how applying) {
	s.ui.sayf("%s:", report.File)
	for _, line := range report.Done {
		s.ui.sayf("  %s %s", verb, line)
	}
	if s.restarts(report, how) {
		s.ui.sayf("it takes effect when Cockpit starts again: %s", restart)
	}
}
