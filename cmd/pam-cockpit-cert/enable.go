// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/diagnose"
)

const restart = "it takes effect when Cockpit starts again: systemctl try-restart cockpit"

func enableCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "enable",
		Short: "Turn certificates on in Cockpit",
		Long: `Turn certificates on in cockpit.conf, and have them go through PAM where this
Cockpit would not by itself. Then say what else is missing.`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			release, err := cockpit.InstalledVersion(ctx, s.root)
			if err != nil && !errors.Is(err, cockpit.ErrNotInstalled) {
				return err
			}
			command := ""
			if release.NeedsCommand() {
				command = sessionCommand
			}
			report, err := cockpit.EnableCertificates(s.root, cockpit.CertificateSettings(command))
			if err != nil {
				return err
			}
			missing := diagnose.Failed(s.system().Checks(ctx))
			return s.ui.print(enabled{report, missing}, func() {
				if report.Changed {
					s.changes(report, "set")
				} else {
					s.ui.sayf("certificates are on in %s: nothing to do", report.File)
				}
				if len(missing) > 0 {
					s.ui.sayf("\nA login needs more:")
					s.ui.checks(missing)
				}
			})
		},
	}
}

// enabled is what a program reads.
type enabled struct {
	cockpit.Report
	Missing []diagnose.Check `json:"missing"`
}

func disableCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:               "disable",
		Short:             "Undo what enable changed, and nothing else",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			report, err := cockpit.DisableCertificates(s.root)
			if err != nil {
				return err
			}
			err = s.ui.print(report, func() {
				if report.Changed {
					s.changes(report, "took out")
				} else {
					s.ui.sayf("nothing that enable changed is in %s", report.File)
				}
				for _, line := range report.Left {
					s.ui.warnf("%s was there before enable, or is somebody else's: edit %s if it is to go", line, filepath.Clean(report.File))
				}
			})
			if err == nil && len(report.Left) > 0 {
				return errNotWell
			}
			return err
		},
	}
}

func (s *settings) changes(report cockpit.Report, verb string) {
	s.ui.sayf("%s:", report.File)
	for _, line := range report.Done {
		s.ui.sayf("  %s %s", verb, line)
	}
	if s.root == "/" {
		s.ui.sayf("%s", restart)
	}
}
