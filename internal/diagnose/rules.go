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

// ruleTool is SSSD's own tool for rules, in the package sssd-tools. It takes a
// rule, and says whether a certificate matches it and which filter it makes.
const ruleTool = "sssctl"

// evaluation bounds all of its runs for one certificate, of some 50 ms each: some
// configurations have a rule for each user.
const evaluation = 5 * time.Second

// maxFilter is how much of a filter is worth printing; some have the whole
// certificate in them.
const maxFilter = 200

var filterForm = regexp.MustCompile(`(?s)Mapping filter:\s*(\(.*\))\s*$`)

// evaluator asks SSSD's tool what rules do with a certificate, until time is up.
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
