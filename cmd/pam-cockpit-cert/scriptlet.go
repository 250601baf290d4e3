// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/scriptlet"
)

// scriptletCommand is the command for the packages' install scripts, see
// pam-cockpit-cert(8), INSTALL SCRIPTS.
func scriptletCommand(s *settings) *cobra.Command {
	script := scriptlet.Scriptlet{Warn: func(line string) { s.ui.warnf("%s", line) }}
	c := &cobra.Command{
		Use:    "scriptlet {deb | rpm} SCRIPT [ARGUMENT...]",
		Short:  "Do the work of a package's install script",
		Hidden: true,
		Args: func(c *cobra.Command, args []string) error {
			if err := cobra.MinimumNArgs(2)(c, args); err != nil {
				return &usageError{err}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			script.Root = s.root
			err := script.Run(args[0], args[1], args[2:], c.InOrStdin())
			var unknown *scriptlet.UnknownError
			switch {
			case errors.Is(err, scriptlet.ErrIncomplete):
				return errNotWell
			case errors.As(err, &unknown):
				return &usageError{err}
			}
			return err
		},
	}
	c.Flags().StringVar(&script.Module, "module", "", "the module's `PATH` in the rule (default pam_cockpit_cert.so)")
	// The arguments after the script's name come from the package manager.
	c.Flags().SetInterspersed(false)
	return c
}
