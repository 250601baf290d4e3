// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// checkTime is how long one run of sssctl config-check may take.
const checkTime = 10 * time.Second

// maxIssues is how many issues are shown.
const maxIssues = 3

// configuration runs SSSD's own tool to find misspelled settings, which SSSD silently
// ignores.
func (s System) configuration(ctx context.Context) []Check {
	if !s.here() || os.Geteuid() != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	out, _ := tool(ctx, ruleTool, "config-check").CombinedOutput() // it fails where there are issues
	found := issues(string(out))
	if len(found) == 0 {
		return nil
	}
	return []Check{warning(idConfig, few(found), run(ruleTool, "config-check").after("SSSD ignores what it does not know; all of it says:"))}
}

// few returns the first of the issues, in one text.
func few(issues []string) string {
	text := strings.Join(issues[:min(len(issues), maxIssues)], "; ")
	if len(issues) > maxIssues {
		text += "; and more"
	}
	return text
}

// attributes reports attributes that SSSD's InfoPipe hides from the module.
func (s System) attributes() []Check {
	config, err := s.sssdConfig()
	if err != nil {
		return nil // the check of the authorities says so
	}
	hidden := config.Hidden("name", "uidNumber")
	if len(hidden) == 0 {
		return nil
	}
	return []Check{broken(idConfig, fmt.Sprintf("user_attributes, %s, hides %s, which every login needs", config.Where("ifp", "user_attributes"), strings.Join(hidden, " and ")),
		advise("take -"+strings.Join(hidden, " and -")+" out of it, then: systemctl restart sssd"))}
}

// verificationOptions reports options of certificate_verification that SSSD ignores.
func (s System) verificationOptions() []Check {
	config, err := s.sssdConfig()
	if err != nil {
		return nil // the check of the authorities says so
	}
	unknown := config.Verification().Unknown
	if len(unknown) == 0 {
		return nil
	}
	return []Check{warning(idConfig, fmt.Sprintf("certificate_verification, %s, has %s, which is not an option in sssd.conf(5)", config.VerificationAt(), strings.Join(unknown, " and ")),
		advise("SSSD ignores what it does not know: correct it, then: systemctl restart sssd"))}
}

// issues returns the issues that sssctl config-check finds, without a setting that
// SSSD's InfoPipe reads although the tool does not know it.
func issues(said string) []string {
	var found []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if _, issue, isIssue := strings.Cut(line, "]: "); isIssue && strings.HasPrefix(line, "[rule/") && !strings.Contains(issue, "'ca_db'") {
			found = append(found, strings.TrimSuffix(issue, "."))
		}
	}
	return found
}
