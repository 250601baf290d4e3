// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/pamconf"
)

// module is the module's name in the rule. The linker sets a path if the module is
// installed where libpam would not find the name.
var module = pamconf.Module

func pamCommand(s *settings) *cobra.Command {
	var service string
	pam := &cobra.Command{
		Use:   "pam",
		Short: "Put the module's rule into a PAM service, or take it out",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
		// Names that administrators may type instead.
		SuggestFor: []string{"install", "remove", "uninstall"},
	}
	pam.PersistentFlags().StringVar(&service, "service", "cockpit", "the PAM `SERVICE`")
	s.completeServices(pam)
	pam.AddCommand(pamInstall(s, &service), pamRemove(s, &service))
	return pam
}

func pamInstall(s *settings, service *string) *cobra.Command {
	options := pamconf.InstallOptions{Default: module}
	var debug bool
	var policy string
	c := &cobra.Command{
		Use:   "install",
		Short: "Put the rule before the first one of the auth stack",
		Long: `Put the rule before the first one of the service's auth stack.

A rule that is there already stays where it is. Every other byte of the file
stays as it is. A file that libpam would refuse is refused, and left alone.

After a certificate, the account and session stacks run, and the rest of the
auth stack does not. With --policy=auth those of its modules run as well that
ask nothing, such as pam_faillock and pam_listfile, and the setcred of pam_group
and pam_cap; the certificate takes the place of those that ask for a password.`,
		Example: "  pam-cockpit-cert pam install --debug\n" +
			"  pam-cockpit-cert pam install --policy=auth\n" +
			"  pam-cockpit-cert --root /mnt pam install",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("debug") {
				options.Debug = &debug
			}
			if c.Flags().Changed("policy") {
				if options.Policy = pamconf.Policy(policy); !slices.Contains(pamconf.Policies, options.Policy) {
					return &usageError{fmt.Errorf("--policy=%s: it has to be account or auth", policy)}
				}
			}
			report, err := pamconf.Service{Root: s.root, Name: *service}.Install(options)
			return s.reportRule(report, err)
		},
	}
	c.Flags().BoolVar(&debug, "debug", false, "the rule's option debug: log more; --debug=false takes it away")
	c.Flags().StringVar(&policy, "policy", "", "the stacks that judge a certificate's login: `account|auth` (default account, or what was chosen before)")
	_ = c.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions([]string{"account", "auth"}, cobra.ShellCompDirectiveNoFileComp))
	c.Flags().StringVar(&options.Module, "module", "", "the module's `PATH` in the rule (default "+module+")")
	return c
}

func pamRemove(s *settings, service *string) *cobra.Command {
	var forget bool
	c := &cobra.Command{
		Use:               "remove",
		Short:             "Remove the rule, and nothing else",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			report, err := pamconf.Service{Root: s.root, Name: *service}.Remove(forget)
			return s.reportRule(report, err)
		},
	}
	c.Flags().BoolVar(&forget, "forget", false, "leave a rule that install did not write, and let packages put theirs in again")
	return c
}

func (s *settings) reportRule(report pamconf.Report, err error) error {
	if err != nil {
		return err
	}
	return s.ui.print(report, func() {
		s.ui.sayf("%s", report.Message)
		if len(report.Runs) > 0 {
			s.ui.sayf("after a certificate run: %s", strings.Join(report.Runs, ", "))
		}
		for _, warning := range report.Warnings {
			s.ui.warnf("warning: %s", warning)
		}
	})
}
