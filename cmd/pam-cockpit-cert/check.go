// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/diagnose"
	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/login"
)

// maxInput is the size of the largest file that is read as a certificate, in bytes.
const maxInput = 1 << 20

func checkCommand(s *settings) *cobra.Command {
	var instance, service string
	c := &cobra.Command{
		Use:   "check {FILE | - | --instance FINGERPRINT}",
		Short: "Ask SSSD about a certificate, as a login would",
		Long: `Ask SSSD about a certificate as a login would, with the options that the rule
in the PAM service has, and explain the answer.

FILE has the certificate in PEM or DER; - is standard input. --instance takes
one that a browser presents to this Cockpit at this moment. The exit status is 0
if a login would succeed.`,
		Example: "  pam-cockpit-cert check alice.pem\n" +
			"  ipa user-show alice --raw | sed -n 's/.*usercertificate: //p' |\n" +
			"    base64 -d | pam-cockpit-cert check -",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 || instance != "" {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			if s.root != "/" {
				return &usageError{errors.New("check asks the running SSSD: it cannot be used with --root")}
			}
			if len(args) > 1 || (len(args) == 1) == (instance != "") {
				return &usageError{errors.New("name one certificate: a FILE, or - for standard input, or --instance")}
			}
			certificate, warnings, err := s.certificate(c, instance, args)
			if err != nil {
				return err
			}
			report, err := diagnose.NewChecker(service, infopipe.SystemBus).Check(c.Context(), certificate)
			if err != nil {
				return err
			}
			report.Warnings = append(report.Warnings, warnings...)
			if err := s.ui.print(report, func() { s.ui.checked(report) }); err != nil {
				return err
			}
			if report.Result != login.Success.String() {
				return errNotWell
			}
			return nil
		},
	}
	c.Flags().StringVar(&instance, "instance", "", "the certificate with this `FINGERPRINT`, SHA-256, which a browser presents now")
	c.Flags().StringVar(&service, "service", "cockpit", "the PAM `SERVICE` whose rule and account stack count")
	s.completeServices(c)
	noFiles(c, "instance")
	return c
}

// certificate returns the one to check, and warnings about its file.
func (s *settings) certificate(c *cobra.Command, instance string, args []string) (clientcert.Certificate, []string, error) {
	if instance != "" {
		source := clientcert.Source{}
		// Also in the form of openssl x509 -fingerprint -sha256.
		instance = strings.ToLower(strings.ReplaceAll(instance, ":", ""))
		certificate, err := source.ByInstance(c.Context(), instance)
		if errors.Is(err, clientcert.ErrNone) {
			return certificate, nil, fmt.Errorf("%w; Cockpit has to be open in a browser that presents it", err)
		}
		return certificate, nil, err
	}
	from, name := c.InOrStdin(), "standard input"
	if args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return clientcert.Certificate{}, nil, err
		}
		defer f.Close()
		from, name = f, args[0]
	}
	text, err := io.ReadAll(io.LimitReader(from, maxInput))
	if err != nil {
		return clientcert.Certificate{}, nil, err
	}
	certificate, more, err := diagnose.ReadCertificate(text)
	if err != nil {
		return certificate, nil, fmt.Errorf("%s: %w", name, err)
	}
	if more > 0 {
		return certificate, []string{fmt.Sprintf("%s has %d certificates: this is about the first", name, more+1)}, nil
	}
	return certificate, nil, nil
}

func (u *ui) checked(report diagnose.CertificateReport) {
	line := func(name, format string, args ...any) { u.sayf("%-12s "+format, append([]any{name}, args...)...) }
	if report.Subject != "" || report.Issuer != "" {
		line("subject", "%s", report.Subject)
		line("issuer", "%s", report.Issuer)
		line("valid", "%s to %s", report.NotBefore.Format(time.DateTime), report.NotAfter.Format("2006-01-02 15:04:05 MST"))
	}
	line("fingerprint", "%s", report.Fingerprint)
	if report.UID != nil {
		line("user", "%s, user ID %d", report.User, *report.UID)
	}
	colour := "31;1"
	if report.Result == login.Success.String() {
		colour = "32"
	}
	line("result", "%s (%s)", u.coloured(colour, report.Result), report.PAM)
	for i, reason := range report.Reasons {
		line([]string{"reason", ""}[min(i, 1)], "%s", reason)
	}
	if report.Next != "" {
		line("next", "%s", report.Next)
	}
	for _, warning := range report.Warnings {
		line("WARNING", "%s", warning)
	}
}
