// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/diagnose"
	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/journal"
)

// explanation is a login with all that is known about it.
type explanation struct {
	Login       journal.Login               `json:"login"`
	Lines       []journal.Entry             `json:"lines"`
	Certificate *diagnose.CertificateReport `json:"certificate,omitempty"`
}

func explainCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [last | FINGERPRINT]",
		Short: "Show all that is known about a login with a certificate",
		Long: `Show all that is known about the last login with a certificate, or with the one
of this SHA-256 fingerprint, of which the beginning is enough: what became of
it, what the journal says about it, and what to do. Where the browser still
presents the certificate to Cockpit, SSSD is asked about it again, as check
does.`,
		Example: "  pam-cockpit-cert explain\n" +
			"  pam-cockpit-cert explain 3fa94c1b07d2e865",
		Args:              maximumArgs(1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"last"}, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(c *cobra.Command, args []string) error {
			wanted, err := fingerprint(args)
			if err != nil {
				return &usageError{err}
			}
			explained, err := s.explain(c.Context(), wanted)
			if err != nil {
				return err
			}
			return s.ui.print(explained, func() { s.ui.explained(explained) })
		},
	}
}

// maximumArgs is cobra's MaximumNArgs, with a usage error.
func maximumArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := cobra.MaximumNArgs(n)(c, args); err != nil {
			return &usageError{err}
		}
		return nil
	}
}

// beginning matches the beginning of a fingerprint. A list of logins shows 16 digits.
var beginning = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// fingerprint returns the beginning of the fingerprint that the login must have.
func fingerprint(args []string) (string, error) {
	if len(args) == 0 || args[0] == "last" {
		return "", nil
	}
	// Also in the form of openssl x509 -fingerprint -sha256.
	wanted := strings.ToLower(strings.ReplaceAll(args[0], ":", ""))
	if !beginning.MatchString(wanted) {
		return "", fmt.Errorf("%q is not a fingerprint: give 8 to 64 hexadecimal digits, or last", args[0])
	}
	return wanted, nil
}

func (s *settings) explain(ctx context.Context, wanted string) (explanation, error) {
	logs := journal.Journal{Root: s.root}
	found, err := logs.Logins(ctx, 1, func(login journal.Login) bool { return strings.HasPrefix(login.Fingerprint, wanted) })
	if err != nil {
		return explanation{}, err
	}
	if len(found) == 0 {
		return explanation{}, errors.New("the journal has no such login; pam-cockpit-cert logins lists those that it has")
	}
	explained := explanation{Login: found[0]}
	if explained.Lines, err = logs.Around(ctx, found[0]); err != nil {
		return explanation{}, err
	}
	if s.root == "/" && found[0].Fingerprint != "" {
		explained.Certificate, err = presented(ctx, found[0])
	}
	return explained, err
}

// presented returns SSSD's answer about the login's certificate, if a browser has
// Cockpit open with it now.
func presented(ctx context.Context, login journal.Login) (*diagnose.CertificateReport, error) {
	source := clientcert.Source{}
	certificate, err := source.ByInstance(ctx, login.Fingerprint)
	if err != nil {
		return nil, nil // the certificate is not exported any more, or may not be read: only the journal is shown
	}
	report, err := diagnose.NewChecker(login.Service, infopipe.SystemBus).Check(ctx, certificate)
	if err != nil {
		return nil, err
	}
	return &report, nil
}

func (u *ui) explained(explained explanation) {
	u.login(explained.Login)
	if explained.Login.Fingerprint != "" {
		u.sayf("\ncertificate %s", explained.Login.Fingerprint)
	}
	if explained.Certificate != nil {
		u.sayf("presented to Cockpit at this moment; SSSD says now:")
		u.checked(*explained.Certificate)
	}
	u.sayf("\nin the journal:")
	for _, line := range explained.Lines {
		u.sayf("%s  %s: %s", line.Time.Local().Format(time.TimeOnly), line.Identifier, line.Message)
	}
}
