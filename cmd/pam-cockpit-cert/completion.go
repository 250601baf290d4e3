// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// noFiles keeps shells from completing an option's value by files.
func noFiles(c *cobra.Command, option string) {
	_ = c.RegisterFlagCompletionFunc(option, cobra.NoFileCompletions)
}

// completePairs completes the file in an option's USER=FILE: to a shell, that is one
// word, which no file's name begins with.
func completePairs(c *cobra.Command, option string) {
	_ = c.RegisterFlagCompletionFunc(option, func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		user, name, found := strings.Cut(word, "=")
		if !found {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		dir, start := filepath.Split(name)
		entries, err := os.ReadDir(cmp.Or(dir, "."))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []string
		directive := cobra.ShellCompDirectiveNoFileComp
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), start) || start == "" && entry.Name()[0] == '.' {
				continue
			}
			file := user + "=" + dir + entry.Name()
			if info, err := os.Stat(dir + entry.Name()); err == nil && info.IsDir() {
				file += "/"
				directive |= cobra.ShellCompDirectiveNoSpace
			}
			words = append(words, file)
		}
		return words, directive
	})
}

// plainDescriptions takes the quotation marks from the options' descriptions, with
// which the help finds the name of an option's value: shells show them as they are.
func plainDescriptions(c *cobra.Command) {
	plain := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	c.LocalFlags().VisitAll(plain)
	for _, sub := range c.Commands() {
		plainDescriptions(sub)
	}
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
