// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package sssdconf reads SSSD's configuration for certificates, to tell the
// administrator where SSSD looks for a user. It does not check the configuration;
// sssctl config-check does that.
package sssdconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/safefile"
)

// DefaultCA is the file of the certificate authorities of SSSD's InfoPipe, unless
// ca_db names another one.
const DefaultCA = "/etc/sssd/pki/sssd_auth_ca_db.pem"

const (
	mainFile    = "/etc/sssd/sssd.conf"
	snippetsDir = "/etc/sssd/conf.d"
	maxSize     = 1 << 20
)

// Config is sssd.conf(5) with its snippets: values by section and key, whose
// names SSSD compares without regard to case.
type Config struct {
	Skipped []string // snippets that SSSD ignores, with the reasons
	Refused *Refusal // why SSSD refuses the main file and does not start; nil if it does not

	sections map[string]*section
	order    []string
}

// Refusal says why SSSD does not read a file, and which command changes that.
type Refusal struct {
	File, Reason string
	Fix          []string
}

type section struct {
	name string // as first spelled
	keys map[string]setting
}

type setting struct {
	value string
	file  string // as the root names it
	line  int
}

// Read reads the configuration. The error is fs.ErrNotExist if there is neither a main
// file nor a snippet, fs.ErrPermission for a user who may not read it (only root and
// SSSD may), and of type *SyntaxError for a main file that SSSD rejects.
func Read(root string) (*Config, error) {
	c := &Config{sections: map[string]*section{}}
	text, missing := safefile.ReadFile(root, mainFile, maxSize)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, missing
	}
	settings, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(root, mainFile), err)
	}
	c.add(mainFile, settings)
	if missing == nil {
		if c.Refused, err = ignored(root, mainFile); err != nil {
			return nil, err
		}
	}
	snippets, err := snippets(root)
	if err != nil {
		return nil, err
	}
	used := 0
	for _, name := range snippets {
		refusal, err := ignored(root, name)
		if err != nil {
			return nil, err
		}
		reason := ""
		if refusal != nil {
			reason = refusal.Reason
		} else {
			text, err := safefile.ReadFile(root, name, maxSize)
			if err != nil {
				return nil, err
			}
			settings, err := parse(text)
			if err == nil {
				c.add(name, settings)
				used++
				continue
			}
			reason = err.Error()
		}
		c.Skipped = append(c.Skipped, filepath.Join(root, name)+": "+reason)
	}
	if used == 0 && missing != nil {
		return nil, missing
	}
	return c, nil
}

// snippets returns the snippets in the order of their names, in which SSSD reads them.
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

// ignored returns why SSSD ignores a snippet, or refuses the main file; nil if it reads
// it. The file must belong to root or SSSD's user, and other users must not be able to
// read it (sss_ini_access_check and sss_ini_add_snippets in SSSD's src/util/sss_ini.c).
// Since SSSD 2.10 its group may read it, which is root's or that of SSSD's user.
func ignored(root, name string) (*Refusal, error) {
	path, err := safefile.Resolve(root, name)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	uid, gid, has := account(root)
	allowed := uint32(0o700)
	if has || groupReads(root) {
		allowed = 0o750
	}
	switch {
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return &Refusal{path, "it is not a file", nil}, nil
	case stat.Uid != 0 && !(has && stat.Uid == uid), stat.Gid != 0 && !(has && stat.Gid == gid):
		return &Refusal{path, fmt.Sprintf("it has to be root's, and is user %d's and group %d's", stat.Uid, stat.Gid), []string{"chown", "root:root", path}}, nil
	case stat.Mode&0o7777&^allowed != 0 || stat.Mode&0o400 == 0:
		return &Refusal{path, fmt.Sprintf("its mode has to be 600, and is %o", stat.Mode&0o7777), []string{"chmod", "600", path}}, nil
	}
	return nil, nil
}

// makesReadable matches the line of the unit of SSSD 2.10 and later, also where SSSD runs
// as root, that makes the files readable by their group at each start.
var makesReadable = regexp.MustCompile(`(?m)^ExecStartPre=\S*/chmod .*\bg\+r\b`)

func groupReads(root string) bool {
	unit, err := safefile.ReadFile(root, "/usr/lib/systemd/system/sssd.service", maxSize)
	return err == nil && makesReadable.Match(unit)
}

// account returns the account of SSSD, if SSSD does not run as root: since 2.10, in
// some distributions. Its group then owns SSSD's directory. (Debian 12 has such an
// account, but an SSSD that runs as root and ignores files that a group may read.)
func account(root string) (uid, gid uint32, has bool) {
	var dir unix.Stat_t
	if unix.Stat(filepath.Join(root, filepath.Dir(mainFile)), &dir) != nil || dir.Gid == 0 {
		return 0, 0, false
	}
	text, err := safefile.ReadFile(root, "/etc/passwd", maxSize)
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, ":")
		if fields[0] != "sssd" || len(fields) < 4 {
			continue
		}
		u, uidErr := strconv.ParseUint(fields[2], 10, 32)
		g, gidErr := strconv.ParseUint(fields[3], 10, 32)
		return uint32(u), uint32(g), uidErr == nil && gidErr == nil && uint32(g) == dir.Gid
	}
	return 0, 0, false
}

func (c *Config) add(file string, settings []entry) {
	for _, e := range settings {
		key := strings.ToLower(e.section)
		if c.sections[key] == nil {
			c.sections[key] = &section{e.section, map[string]setting{}}
			c.order = append(c.order, key)
		}
		if e.key != "" {
			c.sections[key].keys[strings.ToLower(e.key)] = setting{e.value, file, e.line}
		}
	}
}

func (c *Config) get(section, key string) setting {
	if s := c.sections[strings.ToLower(section)]; s != nil {
		return s.keys[strings.ToLower(key)]
	}
	return setting{}
}

// Get returns a value, or "".
func (c *Config) Get(section, key string) string { return c.get(section, key).value }

// Where returns the place of a setting: "line 3 of /etc/sssd/sssd.conf".
func (c *Config) Where(section, key string) string {
	s := c.get(section, key)
	return fmt.Sprintf("line %d of %s", s.line, s.file)
}

// CA returns the file with the certificate authorities.
func (c *Config) CA() string {
	if ca := c.Get("ifp", "ca_db"); ca != "" {
		return ca
	}
	return DefaultCA
}

// CAAt returns the place of ca_db, if it is set: "line 3 of /etc/sssd/sssd.conf".
func (c *Config) CAAt() string {
	if c.Get("ifp", "ca_db") == "" {
		return ""
	}
	return c.Where("ifp", "ca_db")
}

// Domains returns the domains that SSSD serves, in the order in which it asks them:
// those that are listed, and those that are enabled in their section. SSSD skips names
// without a section, and disabled sections.
func (c *Config) Domains() []string {
	var domains []string
	add := func(name string) {
		same := func(other string) bool { return strings.EqualFold(name, other) }
		if name != "" && c.sections["domain/"+strings.ToLower(name)] != nil && !slices.ContainsFunc(domains, same) {
			domains = append(domains, name)
		}
	}
	for _, name := range strings.Split(c.Get("sssd", "domains"), ",") {
		if name = strings.TrimSpace(name); !strings.EqualFold(c.Get("domain/"+name, "enabled"), "false") {
			add(name)
		}
	}
	for _, key := range c.order {
		section := c.sections[key]
		if strings.HasPrefix(key, "domain/") && strings.EqualFold(c.Get(key, "enabled"), "true") {
			add(section.name[len("domain/"):])
		}
	}
	return domains
}

// Rule is a rule of sss-certmap(5).
type Rule struct{ Name, Match, Map string }

// Rules returns the rules of one domain in the configuration. FreeIPA has rules in its
// directory as well.
func (c *Config) Rules(domain string) []Rule {
	prefix := "certmap/" + strings.ToLower(domain) + "/"
	var rules []Rule
	for _, key := range c.order {
		if strings.HasPrefix(key, prefix) {
			rules = append(rules, Rule{c.sections[key].name[len(prefix):], c.Get(key, "matchrule"), c.Get(key, "maprule")})
		}
	}
	return rules
}

// StrayRules returns the sections of rules for domains that are not among the given ones.
// SSSD never applies them.
func (c *Config) StrayRules(domains []string) []string {
	var stray []string
	for _, key := range c.order {
		rest, is := strings.CutPrefix(key, "certmap/")
		domain, _, named := strings.Cut(rest, "/")
		if is && named && !slices.ContainsFunc(domains, func(other string) bool { return strings.EqualFold(domain, other) }) {
			stray = append(stray, "["+c.sections[key].name+"]")
		}
	}
	return stray
}

// Local reports whether a domain has the users of the system, so that the name of a rule
// is that of a user.
func (c *Config) Local(domain string) bool {
	provider := c.Get("domain/"+domain, "id_provider")
	return provider == "files" || provider == "proxy"
}

// Hidden returns those of the attributes of a user that SSSD's InfoPipe hides, by
// user_attributes in sssd-ifp(5).
func (c *Config) Hidden(attributes ...string) []string {
	var hidden []string
	for _, item := range strings.Split(c.Get("ifp", "user_attributes"), ",") {
		if name, hides := strings.CutPrefix(strings.TrimSpace(item), "-"); hides && slices.Contains(attributes, name) {
			hidden = append(hidden, name)
		}
	}
	return hidden
}

// Verdict is the result of a rule for one certificate.
type Verdict struct {
	Known   bool // whether it matches is only valid if it is set
	Matches bool
	Filter  string // the filter of the search in the directory; empty if there is none
	Refused bool   // the rule has a mistake, so that SSSD ignores it
}

// defaultMatch is SSSD's for a rule without a matchrule.
const defaultMatch = "<KU>digitalSignature<EKU>clientAuth"

// Search describes one way in which a domain looks for a certificate's user.
type Search struct {
	Text string
	User string // the user that a rule which matches means, if the rule's name says so
	Verdict
}

// Search describes how a domain looks for a certificate's user. eval evaluates a rule
// for the certificate.
func (c *Config) Search(domain string, eval func(Rule) Verdict) []Search {
	section := "domain/" + domain
	provider, local := c.Get(section, "id_provider"), c.Local(domain)
	var search []Search
	for _, rule := range c.Rules(domain) {
		verdict, name := eval(rule), ""
		match, how := rule.Match, rule.Map
		if match == "" {
			match = defaultMatch
		}
		switch {
		case local && rule.Map == "":
			how, name = "the user "+rule.Name, rule.Name
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
		} else if verdict.Refused {
			said = strings.TrimSpace(rule.Match+" "+rule.Map) + " has a mistake, so that SSSD ignores the rule"
		}
		search = append(search, Search{fmt.Sprintf("domain %s, rule %s: %s", domain, rule.Name, said), name, verdict})
	}
	switch {
	case len(search) > 0:
	case local:
		search = append(search, Search{fmt.Sprintf("domain %s (%s): it has no section [certmap/%s/USER], so that no certificate maps to a user", domain, provider, domain), "", Verdict{Known: true}})
	default:
		attribute := c.Get(section, "ldap_user_certificate")
		if attribute == "" {
			attribute = "userCertificate;binary"
		}
		search = append(search, Search{fmt.Sprintf("domain %s (%s): the user entry whose %s is this certificate, and rules that the directory itself may have", domain, provider, attribute), "", Verdict{Known: true}})
	}
	return search
}
