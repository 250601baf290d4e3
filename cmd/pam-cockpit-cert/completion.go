// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/pamconf"
)

// completeServices completes an option by the names of PAM services.
func (s *settings) completeServices(c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("service", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		entries, err := os.ReadDir(filepath.Join(s.root, pamconf.ConfigDir))
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

func completionCommand() *cobra.Command {
	shells := []string{"bash", "fish", "zsh"}
	return &cobra.Command{
		Use:       "completion {bash | fish | zsh}",
		Short:     "Print a shell's completions",
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)(c, args) != nil {
				return &usageError{errors.New("name one shell: bash, fish or zsh")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			out, root := c.OutOrStdout(), c.Root()
			switch args[0] {
			case "fish":
				return root.GenFishCompletion(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			}
			return root.GenBashCompletionV2(out, true)
		},
	}
}
