// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package sssdconf reads what SSSD is configured to do with certificates, to
// tell people where it looks. It does not judge the configuration; sssctl
// config-check does.
package sssdconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/safefile"
)

// DefaultCA is where SSSD's InfoPipe has its certificate authorities, if ca_db
// says nothing else.
const DefaultCA = "/etc/sssd/pki/sssd_auth_ca_db.pem"

const (
	mainFile    = "/etc/sssd/sssd.conf"
	snippetsDir = "/etc/sssd/conf.d"
	maxSize     = 1 << 20
)

// Config is sssd.conf(5) with its snippets: values by section and key.
type Config struct {
	sections map[string]map[string]string
	order    []string
}

// Read reads the configuration; fs.ErrNotExist and fs.ErrPermission are what
// they say, for the file is for root and SSSD only. Snippets alone will do.
func Read(root string) (*Config, error) {
	c := &Config{sections: map[string]map[string]string{}}
	text, missing := safefile.ReadFile(root, mainFile, maxSize)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, missing
	}
	c.add(string(text))
	snippets, err := snippets(root)
	if err != nil {
		return nil, err
	}
	for _, name := range snippets {
		text, err := safefile.ReadFile(root, name, maxSize)
		if err != nil {
			return nil, err
		}
		c.add(string(text))
	}
	if len(snippets) == 0 && missing != nil {
		return nil, missing
	}
	return c, nil
}

// snippets are in the order of their names, as SSSD reads them.
func snippets(root string) ([]string, error) {
	dir, err := safefile.Resolve(root, snippetsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".conf") {
			names = append(names, filepath.Join(snippetsDir, name))
		}
	}
	return names, nil
}

func (c *Config) add(text string) {
	section := ""
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok && strings.HasSuffix(name, "]") {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if c.sections[section] == nil {
			c.sections[section] = map[string]string{}
			c.order = append(c.order, section)
		}
		c.sections[section][strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
}

// Get returns a value, or "".
func (c *Config) Get(section, key string) string { return c.sections[section][key] }

// CA is the file with the certificate authorities.
func (c *Config) CA() string {
	if ca := c.Get("ifp", "ca_db"); ca != "" {
		return ca
	}
	return DefaultCA
}

// Domains are those that SSSD serves, in the order in which it asks them.
func (c *Config) Domains() []string {
	var domains []string
	for _, name := range strings.Split(c.Get("sssd", "domains"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			domains = append(domains, name)
		}
	}
	for _, section := range c.order {
		if name, ok := strings.CutPrefix(section, "domain/"); ok && c.Get(section, "enabled") == "true" && !slices.Contains(domains, name) {
			domains = append(domains, name)
		}
	}
	return domains
}

// Rule is one of sss-certmap(5).
type Rule struct{ Name, Match, Map string }

// Rules are those of one domain that are in the configuration itself; FreeIPA
// has rules in the directory as well.
func (c *Config) Rules(domain string) []Rule {
	var rules []Rule
	for _, section := range c.order {
		name, ok := strings.CutPrefix(section, "certmap/"+domain+"/")
		if ok {
			rules = append(rules, Rule{name, c.Get(section, "matchrule"), c.Get(section, "maprule")})
		}
	}
	return rules
}

// Verdict is what SSSD makes of a rule for one certificate.
type Verdict struct {
	Known   bool // without it, the rest says nothing
	Matches bool
	Filter  string // by which the directory is searched; empty if there is none
}

// defaultMatch is SSSD's for a rule without a matchrule.
const defaultMatch = "<KU>digitalSignature<EKU>clientAuth"

// Search says, in words, by what a domain looks for a certificate's user. eval
// says what a rule does with the certificate.
func (c *Config) Search(domain string, eval func(Rule) Verdict) []string {
	section := "domain/" + domain
	provider := c.Get(section, "id_provider")
	local := provider == "files" || provider == "proxy"
	var search []string
	for _, rule := range c.Rules(domain) {
		verdict := eval(rule)
		match, how := rule.Match, rule.Map
		if match == "" {
			match = defaultMatch
		}
		switch {
		case local && rule.Map == "":
			how = "the user " + rule.Name
		case verdict.Filter != "":
			how = "the user entry with " + verdict.Filter
		case how == "":
			how = "the user entry that has the certificate itself"
		}
		said := fmt.Sprintf("if %s matches, %s", match, how)
		if verdict.Known && verdict.Matches {
			said = fmt.Sprintf("%s matches, and means %s", match, how)
		} else if verdict.Known {
			said = match + " does not match"
		}
		search = append(search, fmt.Sprintf("domain %s, rule %s: %s", domain, rule.Name, said))
	}
	switch {
	case len(search) > 0:
	case local:
		search = append(search, fmt.Sprintf("domain %s (%s): it has no section [certmap/%s/USER], so that no certificate is anybody's", domain, provider, domain))
	default:
		attribute := c.Get(section, "ldap_user_certificate")
		if attribute == "" {
			attribute = "userCertificate;binary"
		}
		search = append(search, fmt.Sprintf("domain %s (%s): the user entry whose %s is this certificate, and rules that the directory itself may have", domain, provider, attribute))
	}
	return search
}
