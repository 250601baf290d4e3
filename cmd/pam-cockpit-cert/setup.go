// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/diagnose"
	"pam_cockpit_cert/internal/sssdconf"
)

func setupCommand(s *settings) *cobra.Command {
	var how applying
	var authorities string
	var local []string
	c := &cobra.Command{
		Use:   "setup",
		Short: "Set up SSSD and Cockpit for the first login",
		Long: `Let SSSD trust the authorities that issue your users' certificates, map
certificates to users of this system if there is no domain, and turn
certificates on in Cockpit, as enable does. Then say what is missing.

setup does not change files that others have written; disable removes its own.`,
		Example: "  # in a domain, such as FreeIPA or Active Directory\n" +
			"  pam-cockpit-cert setup --ca ca.pem --now\n" +
			"  # without a domain\n" +
			"  pam-cockpit-cert setup --ca ca.pem --local alice=alice.pem --now",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case authorities == "":
				return &usageError{errors.New("--ca is missing: name the file with the authorities' certificates")}
			case s.root != "/":
				return &usageError{errors.New("setup works on the running system, not on one below --root")}
			}
			if err := how.check(s); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			return s.setup(ctx, how, authorities, local)
		},
	}
	how.flags(c)
	c.Flags().StringVar(&authorities, "ca", "", "the `FILE` with the certificates of the authorities, PEM")
	c.Flags().StringArrayVar(&local, "local", nil, "`USER=CERT`: a user of this system, and the file with the certificate; may be repeated")
	completePairs(c, "local")
	_ = c.MarkFlagFilename("ca", "pem", "crt", "cer")
	return c
}

func (s *settings) setup(ctx context.Context, how applying, authorities string, local []string) error {
	text, err := os.ReadFile(authorities)
	if err != nil {
		return err
	}
	plan := sssdconf.Setup{Root: s.root, Authorities: text}
	for _, pair := range local {
		user, err := localUser(pair)
		if err != nil {
			return err
		}
		plan.Users = append(plan.Users, user)
	}
	if len(plan.Users) > 0 {
		if plan.Old, err = sssdBefore(ctx, 2, 9, 3); err != nil {
			return err
		}
	}
	changes, err := plan.Preview()
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	_, more, err := s.previewEnable(ctx, s.cockpitService())
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if how.dryRun {
		return s.ui.diffs(append(changes, more...))
	}
	if err := plan.Apply(); err != nil {
		return err
	}
	var done enabled
	for _, change := range changes {
		if change.Changes() {
			done.Wrote = append(done.Wrote, change.Path)
		}
	}
	if len(done.Wrote) > 0 && !how.now {
		done.Restart = []string{"systemctl restart sssd"}
	}
	if !s.ui.json {
		for _, path := range done.Wrote {
			s.ui.sayf("wrote %s", path)
		}
		for _, command := range done.Restart {
			s.ui.sayf("SSSD reads it when it starts again: %s", command)
		}
	}
	if how.now {
		if out, err := exec.CommandContext(ctx, "systemctl", "restart", "sssd").CombinedOutput(); err != nil {
			return fmt.Errorf("SSSD's files are written, but it did not restart, see journalctl -u sssd: %w%s", err, after(out))
		}
	}
	return s.enable(ctx, how, done)
}

// after returns what a program said, to be put behind an error; "" if it said nothing.
func after(out []byte) string {
	if text := strings.TrimSpace(string(out)); text != "" {
		return ": " + text
	}
	return ""
}

// localUser parses USER=CERT.
func localUser(pair string) (sssdconf.LocalUser, error) {
	name, path, ok := strings.Cut(pair, "=")
	if !ok || name == "" || path == "" {
		return sssdconf.LocalUser{}, &usageError{fmt.Errorf("--local %s: it has to be USER=CERT", pair)}
	}
	account, err := user.Lookup(name)
	if err != nil {
		// If SSSD is down, the error says only that.
		return sssdconf.LocalUser{}, fmt.Errorf("--local %s: this system does not know the user %s: %w", pair, name, err)
	}
	if account.Uid == "0" {
		return sssdconf.LocalUser{}, fmt.Errorf("--local %s: SSSD maps no certificate to root", pair)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return sssdconf.LocalUser{}, err
	}
	read, _, err := diagnose.ReadCertificate(text)
	if err != nil {
		return sssdconf.LocalUser{}, fmt.Errorf("%s: %w", path, err)
	}
	certificate, err := x509.ParseCertificate(read.DER)
	if err != nil {
		return sssdconf.LocalUser{}, fmt.Errorf("%s: %w", path, err)
	}
	return sssdconf.LocalUser{Name: name, Certificate: certificate}, nil
}

// sssdBefore asks SSSD for its version.
func sssdBefore(ctx context.Context, version ...int) (bool, error) {
	out, err := exec.CommandContext(ctx, "sssd", "--version").Output()
	if err != nil {
		return false, fmt.Errorf("nothing was changed: SSSD is not installed (%w); install sssd and sssd-dbus first", err)
	}
	fields := strings.FieldsFunc(string(out), func(r rune) bool { return r < '0' || r > '9' })
	for i, want := range version {
		if i >= len(fields) {
			return true, nil
		}
		is, err := strconv.Atoi(fields[i])
		if err != nil || is != want {
			return is < want, err
		}
	}
	return false, nil
}
