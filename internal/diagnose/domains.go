// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/sssdconf"
)

// listTime is how long SSSD may take to answer.
const listTime = 5 * time.Second

// served returns the domains that the running SSSD serves; nil if that cannot be
// found out. It asks the InfoPipe itself and does not run a tool, because infopipe
// ignores what local users send to its connection, and so cannot be held up by them.
func served(ctx context.Context, bus string) []string {
	if os.Geteuid() != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	domains, err := (&infopipe.Client{Address: bus}).Domains(ctx)
	if err != nil {
		return nil
	}
	return domains
}

// unserved returns the configured domains that the running SSSD does not serve: it
// has not read the configuration since they were added.
func unserved(ctx context.Context, bus string, config *sssdconf.Config) []string {
	configured := config.Domains()
	if len(configured) == 0 {
		return nil
	}
	running := served(ctx, bus)
	if len(running) == 0 {
		return nil
	}
	return slices.DeleteFunc(configured, func(domain string) bool {
		return slices.ContainsFunc(running, func(other string) bool { return strings.EqualFold(domain, other) })
	})
}

// domains reports the domains of sssd.conf that SSSD does not serve; nothing if it
// serves all of them.
func (s System) domains(ctx context.Context) []Check {
	config, err := s.sssdConfig()
	if err != nil {
		return nil // the check of the authorities says so
	}
	missing := unserved(ctx, s.Bus, config)
	if len(missing) == 0 {
		return nil
	}
	return []Check{warning(idDomains, "SSSD does not serve "+strings.Join(missing, ", ")+", which sssd.conf has",
		run("systemctl", "restart", "sssd").after("SSSD reads its configuration when it starts; if it has since, see journalctl -u sssd"))}
}
