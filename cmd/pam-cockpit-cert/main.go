// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command pam-cockpit-cert sets up logging in to Cockpit with a TLS client
// certificate, and explains why it does or does not work.
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit status: 0 if all is well, 1 if something is not, 2 if
// we were called wrongly.
func run(args []string) int {
	ui := newUI(os.Stdout, os.Stderr)
	root := command(ui)
	root.SetArgs(args)
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	called, err := root.ExecuteContextC(context.Background())
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNotWell):
		return 1
	case errors.As(err, &usage):
		ui.usage(called, err)
		return 2
	default:
		ui.failure(err)
		return 1
	}
}

// errNotWell is for what was said already.
var errNotWell = errors.New("not all is well")

// usageError is a wrong call.
type usageError struct{ error }

// settings are what every command knows.
type settings struct {
	ui   *ui
	root string // of the system that is looked at or changed
}

func command(ui *ui) *cobra.Command {
	s := &settings{ui: ui}
	root := &cobra.Command{
		Use:   "pam-cockpit-cert",
		Short: "Log in to Cockpit with a TLS client certificate: set up, check, explain",
		Long: `pam-cockpit-cert sets up logging in to Cockpit with a smart card, or any TLS
client certificate in the browser, and explains why it does or does not work.

See pam-cockpit-cert(8) for this program and pam_cockpit_cert(8) for what a
system needs.`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noArgs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { return s.check() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentFlags().StringVar(&s.root, "root", "/", "work on the system below `DIR`: an image, or a container's host")
	root.PersistentFlags().BoolVar(&ui.json, "json", false, "print JSON, for programs")
	_ = root.MarkPersistentFlagDirname("root")
	root.AddCommand(statusCommand(s), checkCommand(s), enableCommand(s), disableCommand(s), pamCommand(s))
	return root
}

// noArgs is cobra's, as a wrong call.
func noArgs(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return &usageError{err}
	}
	return nil
}

func (s *settings) check() error {
	if s.root == "" {
		return &usageError{errors.New("--root is empty")}
	}
	root, err := filepath.Abs(s.root)
	s.root = root
	return err
}
