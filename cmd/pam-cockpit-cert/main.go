// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command pam-cockpit-cert sets up logging in to Cockpit with a TLS client
// certificate, and explains why it does or does not work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit status: 0 on success, 1 on a failure, 2 for wrong arguments.
func run(args []string) int {
	ui := newUI(os.Stdout, os.Stderr)
	root := command(ui)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		plainDescriptions(root)
	}
	root.SetArgs(args)
	root.SetOut(ui.out)
	root.SetErr(os.Stderr)
	called, err := root.ExecuteContextC(context.Background())
	status := 1
	var usage *usageError
	switch {
	case err == nil:
		status = 0
	case errors.Is(err, errNotWell):
	case errors.As(err, &usage):
		// cobra may report a wrong option before it has parsed --json.
		ui.json = ui.json || slices.Contains(args, "--json")
		ui.usage(called, err)
		status = 2
	default:
		ui.failure(err)
	}
	if ui.out.err != nil {
		ui.warnf("%v", ui.out.err)
		return max(status, 1)
	}
	return status
}

// errNotWell is a failure that was already printed.
var errNotWell = errors.New("not all is well")

// usageError is an error in the arguments.
type usageError struct{ error }

// settings has the options of every command.
type settings struct {
	ui   *ui
	root string // of the system that is checked or changed
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
		Example: "  pam-cockpit-cert setup --ca ca.pem --now\n" +
			"  pam-cockpit-cert status\n" +
			"  pam-cockpit-cert check alice.pem",
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noArgs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { return s.check() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentFlags().StringVar(&s.root, "root", "/", "work on the system below `DIR`, such as an image")
	root.PersistentFlags().BoolVar(&ui.json, "json", false, "print JSON, for programs")
	_ = root.MarkPersistentFlagDirname("root")
	addGroup(root, "Find out:", statusCommand(s), checkCommand(s), loginsCommand(s), explainCommand(s))
	addGroup(root, "Set up:", setupCommand(s), enableCommand(s), disableCommand(s), pamCommand(s))
	root.AddCommand(completionCommand(), scriptletCommand(s))
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetUsageTemplate(narrow.Replace(root.UsageTemplate()))
	return root
}

// narrow changes cobra's template so that its lines fit into 80 columns.
var narrow = strings.NewReplacer(
	".FlagUsages", ".FlagUsagesWrapped 80",
	`Use "{{.CommandPath}} [command] --help" for more information about a command.`, `See also "{{.CommandPath}} COMMAND --help".`)

// addGroup adds commands that the help shows below a title.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, command := range commands {
		command.GroupID = title
		root.AddCommand(command)
	}
}

// noArgs is cobra's NoArgs, with a usage error and suggestions.
func noArgs(c *cobra.Command, args []string) error {
	err := cobra.NoArgs(c, args)
	if err == nil {
		return nil
	}
	if c.SuggestionsMinimumDistance = 2; len(c.SuggestionsFor(args[0])) > 0 {
		err = fmt.Errorf("%w; is it %s?", err, strings.Join(c.SuggestionsFor(args[0]), " or "))
	}
	return &usageError{err}
}

func (s *settings) check() error {
	if s.root == "" {
		return &usageError{errors.New("--root is empty")}
	}
	root, err := filepath.Abs(s.root)
	if err != nil {
		return err
	}
	s.root = root
	info, err := os.Stat(root)
	if err != nil {
		return fmt.Errorf("--root: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("--root: %s is not a directory", root)
	}
	return nil
}
