// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/pamconf"
	"pam_cockpit_cert/internal/sssdconf"
)

// tickets reports which settings are missing for sudo by a session's Kerberos ticket.
// It is never broken, because sudo by ticket is optional. It reports nothing for a
// host that has not joined a domain, or a rule with no_ticket.
func (s System) tickets() []Check {
	const id = idTickets
	if !s.exists("etc/krb5.keytab") {
		return nil
	}
	if _, file, err := s.pamService().Parsed(); err == nil && slices.ContainsFunc(file.Ours(), noTicket) {
		return nil
	}
	config, err := sssdconf.Read(s.Root)
	if err != nil {
		return nil // another check says so
	}
	var missing, fixes []string
	if !sudoAllowed(config) {
		missing = append(missing, "SSSD's pam_gssapi_services does not name sudo")
		fixes = append(fixes, "in "+filepath.Join(s.Root, "etc/sssd/sssd.conf")+", in the domain's section, write pam_gssapi_services = sudo, sudo-i")
	}
	sudo, file, err := pamconf.Service{Root: s.Root, Name: "sudo"}.Parsed()
	if err != nil || !slices.ContainsFunc(file.Rules(), isGSS) {
		where := sudo.Path
		if where == "" {
			where = filepath.Join(s.Root, "etc/pam.d/sudo")
		}
		missing = append(missing, "pam_sss_gss.so is not in "+where)
		fixes = append(fixes, "make this its first rule: auth sufficient pam_sss_gss.so")
	}
	check := ok(id, "sudo takes the session's Kerberos ticket")
	if len(missing) > 0 {
		check.Summary = "sudo asks for a password: " + strings.Join(missing, "; ")
		check.Fix = advise("if it is to take the session's Kerberos ticket: " + strings.Join(fixes, "; "))
	}
	return []Check{check}
}

func (s System) exists(name string) bool {
	_, err := os.Stat(filepath.Join(s.Root, name))
	return err == nil
}

func noTicket(rule pamconf.Rule) bool { return pamconf.ReadArguments(rule.Args).NoTicket }

func isGSS(rule pamconf.Rule) bool {
	return strings.TrimPrefix(rule.Type, "-") == "auth" && path.Base(rule.Module) == "pam_sss_gss.so"
}

// sudoAllowed reports whether SSSD lets sudo use tickets, in all domains or in one.
func sudoAllowed(config *sssdconf.Config) bool {
	sections := []string{"pam"}
	for _, domain := range config.Domains() {
		sections = append(sections, "domain/"+domain)
	}
	for _, section := range sections {
		for service := range strings.SplitSeq(config.Get(section, "pam_gssapi_services"), ",") {
			if strings.TrimSpace(service) == "sudo" {
				return true
			}
		}
	}
	return false
}
