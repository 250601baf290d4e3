// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"cmp"
	"errors"
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
	check := ok(id, "sudo takes the session's Kerberos ticket")
	if asking, missing, fixes := s.sudoLacks(config); len(asking) > 0 {
		verb := " asks"
		if len(asking) > 1 {
			verb = " ask"
		}
		check.Summary = strings.Join(asking, " and ") + verb + " for a password: " + strings.Join(missing, "; ")
		check.Fix = advise("if it is to take the session's Kerberos ticket: " + strings.Join(fixes, "; "))
	}
	return []Check{check}
}

// sudoLacks returns the commands that ask for a password, what is missing for them to
// take a ticket instead, and what to do.
func (s System) sudoLacks(config *sssdconf.Config) (asking, missing, fixes []string) {
	var unnamed []string
	lacking := false // the service sudo lacks the rule
	for _, service := range s.sudoServices() {
		allowed := gssAllowed(config, service)
		lack, fix := s.sudoRule(service)
		if !allowed {
			unnamed = append(unnamed, service)
		}
		if !allowed || lack != "" {
			asking = append(asking, strings.Replace(service, "-", " -", 1))
		}
		if lack != "" && !(lacking && s.includesSudo(service)) {
			missing, fixes = append(missing, lack), append(fixes, fix)
		}
		lacking = lack != ""
	}
	if len(unnamed) > 0 {
		missing = slices.Insert(missing, 0, "SSSD's pam_gssapi_services does not name "+strings.Join(unnamed, " and "))
		fixes = slices.Insert(fixes, 0, "in "+filepath.Join(s.Root, "etc/sssd/sssd.conf")+", in the domain's section, write pam_gssapi_services = sudo, sudo-i")
	}
	return asking, missing, fixes
}

// sudo and sudoLogin are the PAM services of sudo, and of sudo -i.
const sudo, sudoLogin = "sudo", "sudo-i"

// sudoServices returns the services of sudo on this host. Where it has only one, which
// depends on how sudo was built, sudo -i uses it as well.
func (s System) sudoServices() []string {
	var missing *pamconf.NoServiceError
	if _, _, err := (pamconf.Service{Root: s.Root, Name: sudoLogin}).Parsed(); errors.As(err, &missing) {
		return []string{sudo}
	}
	return []string{sudo, sudoLogin}
}

// includesSudo reports whether a service takes its rules from sudo, as Fedora's sudo-i does.
func (s System) includesSudo(service string) bool {
	_, file, err := pamconf.Service{Root: s.Root, Name: service}.Parsed()
	return err == nil && slices.ContainsFunc(file.Rules(), func(rule pamconf.Rule) bool {
		return rule.Includes() && path.Base(rule.Module) == sudo
	})
}

// sudoRule returns what a service of sudo lacks, and what to do; or "".
func (s System) sudoRule(name string) (lack, fix string) {
	const rule = "auth sufficient pam_sss_gss.so"
	service := pamconf.Service{Root: s.Root, Name: name}
	place, _, err := service.Parsed()
	where := place.Path
	if where == "" {
		where = filepath.Join(s.Root, "etc/pam.d", name)
	}
	fix = "make this the first rule of " + where + ": " + rule
	if place.Vendor != "" {
		fix = "copy " + filepath.Join(s.Root, place.Vendor) + " to " + where + ", and " + fix
	}
	var missing *pamconf.NoServiceError
	if errors.As(err, &missing) {
		return "there is no " + where, "install sudo, and " + fix
	}
	rules, err := service.Auth()
	if err != nil {
		return err.Error(), "correct that, and " + fix
	}
	switch i := slices.IndexFunc(rules, isGSS); {
	case i < 0:
		return "pam_sss_gss.so is not in " + where, fix
	case slices.ContainsFunc(rules[:i], pamconf.Rule.AsksPassword):
		return "pam_sss_gss.so comes after a module that asks for the password in " + where, fix
	case !rules[i].Spares():
		return "the rule for pam_sss_gss.so in " + where + " is not sufficient", fix
	}
	return "", ""
}

func (s System) exists(name string) bool {
	_, err := os.Stat(filepath.Join(s.Root, name))
	return err == nil
}

func noTicket(rule pamconf.Rule) bool { return pamconf.ReadArguments(rule.Args).NoTicket }

func isGSS(rule pamconf.Rule) bool { return path.Base(rule.Module) == "pam_sss_gss.so" }

// gssAllowed reports whether SSSD lets a service use tickets in a domain. The domain's
// setting, of which a dash means none, replaces that of section pam (pam_gssapi_allowed
// in SSSD's src/responder/pam/pamsrv_gssapi.c).
func gssAllowed(config *sssdconf.Config, name string) bool {
	const setting = "pam_gssapi_services"
	for _, domain := range config.Domains() {
		services := cmp.Or(config.Get("domain/"+domain, setting), config.Get("pam", setting))
		for service := range strings.SplitSeq(services, ",") {
			if strings.TrimSpace(service) == name {
				return true
			}
		}
	}
	return false
}
