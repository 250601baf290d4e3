// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/user"
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

// maxParsed is how many rules status has SSSD's tool parse, and parsing how long it may
// take on a busy machine.
const (
	maxParsed = 20
	parsing   = 20 * time.Second
)

// maxFilter is how many bytes of a filter are printed: some filters have the whole
// certificate in them.
const maxFilter = 200

var filterForm = regexp.MustCompile(`(?s)Mapping filter:\s*(\(.*\))\s*$`)

// evaluator returns a function that evaluates a rule for the certificate with SSSD's
// tool, until the time is up.
func evaluator(ctx context.Context, der []byte, limit time.Duration) func(sssdconf.Rule) sssdconf.Verdict {
	encoded, end := base64.StdEncoding.EncodeToString(der), time.Now().Add(limit)
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
	case strings.Contains(said, "Failed to add mapping and matching rules"):
		return sssdconf.Verdict{Refused: true}
	}
	return sssdconf.Verdict{}
}

// rules reports rules that map no certificate, whichever it is: those for a domain that
// SSSD does not have, those with a mistake, and those for users who do not exist. It also
// reports rules that map every certificate to one user, as those do whose matchrule is
// misspelled.
func (s System) rules(ctx context.Context) []Check {
	config, err := s.sssdConfig()
	if err != nil {
		return nil // the check of the authorities says so
	}
	der, err := selfSigned(s.Now) // any certificate shows whether SSSD's tool can parse a rule
	if err != nil {
		return nil
	}
	domains := config.Domains()
	var problems []string
	for _, section := range config.StrayRules(append(domains, served(ctx, s.Bus)...)) {
		problems = append(problems, section+" is for a domain that SSSD does not have")
	}
	eval := evaluator(ctx, der, parsing)
	directory, usable, parsed := false, 0, 0
	for _, domain := range domains {
		local := config.Local(domain)
		directory = directory || !local
		for _, rule := range config.Rules(domain) {
			problem := ""
			if local {
				problem = notMapped(rule.Name)
			}
			if problem == "" {
				var verdict sssdconf.Verdict
				if parsed++; parsed <= maxParsed {
					verdict = eval(rule)
				}
				if !verdict.Refused {
					usable++
				}
				problem = fault(rule, verdict, local)
			}
			if problem != "" {
				problems = append(problems, fmt.Sprintf("[certmap/%s/%s] %s", domain, rule.Name, problem))
			}
		}
	}
	summary := few(problems)
	fix := advise("correct sssd.conf, see sss-certmap(5), then: systemctl restart sssd")
	switch {
	case len(domains) > 0 && !directory && usable == 0:
		if summary != "" {
			summary = ": " + summary
		}
		return []Check{broken(idRules, "no rule maps a certificate to a user of this system"+summary, fix)}
	case summary != "":
		return []Check{warning(idRules, summary, fix)}
	}
	return nil
}

// fault returns what is wrong with a rule, given its result for a certificate that has
// nothing to do with it; "" if nothing is. local tells that its name is a user's.
func fault(rule sssdconf.Rule, verdict sssdconf.Verdict, local bool) string {
	switch {
	case verdict.Refused:
		return "has a mistake in " + strings.TrimSpace(rule.Match+" "+rule.Map)
	case local && (verdict.Matches || rule.Match == ""):
		return "means " + rule.Name + " by every client certificate that SSSD trusts"
	}
	return ""
}

// notMapped returns why a rule of that name in a domain of this system's users maps no
// certificate; "" if it can.
func notMapped(name string) string {
	account, err := user.Lookup(name)
	var missing user.UnknownUserError
	switch {
	case errors.As(err, &missing):
		return "is for a user whom this system does not have"
	case err == nil && account.Uid == "0":
		return "is for root, to whom SSSD maps no certificate"
	}
	return ""
}
