// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"encoding/base64"
	"regexp"
	"strings"
	"time"

	"pam_cockpit_cert/internal/sssdconf"
)

// ruleTool is SSSD's own tool for rules, in the package sssd-tools. It tells whether a
// certificate matches a rule, and the rule's search filter.
const ruleTool = "sssctl"

// evaluation is how long all of its runs for one certificate may take. Each takes some
// 50 ms, and some configurations have a rule for each user.
const evaluation = 5 * time.Second

// maxFilter is how many bytes of a filter are printed: some filters have the whole
// certificate in them.
const maxFilter = 200

var filterForm = regexp.MustCompile(`(?s)Mapping filter:\s*(\(.*\))\s*$`)

// evaluator returns a function that evaluates a rule for the certificate with SSSD's
// tool, until the time is up.
func evaluator(ctx context.Context, der []byte) func(sssdconf.Rule) sssdconf.Verdict {
	encoded, end := base64.StdEncoding.EncodeToString(der), time.Now().Add(evaluation)
	return func(rule sssdconf.Rule) sssdconf.Verdict {
		ctx, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		if ctx.Err() != nil {
			return sssdconf.Verdict{}
		}
		args := []string{"cert-eval-rule", encoded}
		if rule.Match != "" {
			args = append(args, "--match="+rule.Match)
		}
		if rule.Map != "" {
			args = append(args, "--map="+rule.Map)
		}
		out, _ := tool(ctx, ruleTool, args...).CombinedOutput() // it fails where the rule does not match
		return verdict(string(out))
	}
}

func verdict(said string) sssdconf.Verdict {
	switch {
	case strings.Contains(said, "Certificate matches rule"):
		v := sssdconf.Verdict{Known: true, Matches: true}
		if match := filterForm.FindStringSubmatch(said); match != nil {
			v.Filter = match[1]
			if len(v.Filter) > maxFilter {
				v.Filter = strings.ToValidUTF8(v.Filter[:maxFilter], "") + "..."
			}
		}
		return v
	case strings.Contains(said, "Certificate does not match rule"):
		return sssdconf.Verdict{Known: true}
	}
	return sssdconf.Verdict{}
}
