// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package nix

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/cockpit"
)

// evaluation is standin.nix's result of nix/module.nix.
type evaluation struct {
	Failures, Warnings []string
	Pam                string
	Cockpit            map[string]map[string]any
	Sssd               map[string]map[string]any
	Etc                []string // each with a name and its source
	Units, Programs    []string // packages: with units of systemd, with programs for every user
	Links              []string // the directories of Programs that are in /run/current-system/sw
	On                 bool
	Documented         map[string]bool
}

// evaluate evaluates the module in an administrator's configuration.nix, without
// nixpkgs.
func evaluate(t *testing.T, administrator string) evaluation {
	t.Helper()
	var e evaluation
	out := output(t, nixCommand(t, "nix-instantiate", "--eval", "--strict", "--json", "-E",
		"import ./test/nix/standin.nix (config: {"+administrator+"})"))
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

const theLine = `services.pam-cockpit-cert.enable = true; `

// aDomain has the settings that only the administrator knows.
const aDomain = theLine + `services.sssd.settings."domain/example.org".id_provider = "ipa";`

// ruleOf returns the rule of the other packages in NixOS's form: with the module's
// path, and without the dash, because the module is never missing.
func ruleOf(t *testing.T, module, arguments string) string {
	t.Helper()
	rule := strings.TrimSpace(strings.TrimPrefix(read(t, ruleFile), "-"))
	return strings.Replace(rule, "pam_cockpit_cert.so", module+arguments, 1)
}

func (e evaluation) firstRule() string {
	first, _, _ := strings.Cut(e.Pam, "\n")
	return first
}

func TestOneLineTurnsEverythingOn(t *testing.T) {
	e := evaluate(t, aDomain)
	if !e.On || len(e.Failures) > 0 || len(e.Warnings) > 0 {
		t.Errorf("on: %v, failed assertions %q, warnings %q", e.On, e.Failures, e.Warnings)
	}
	if got, want := e.firstRule(), ruleOf(t, "/package/lib/security/pam_cockpit_cert.so", ""); got != want {
		t.Errorf("the first rule is\n%s, want\n%s", got, want)
	}
	for _, want := range cockpit.CertificateSettings("/package/libexec/pam_cockpit_cert/cockpit-cert-session") {
		got := e.Cockpit[want.Section][want.Key]
		if got != want.Value && !(got == true && want.Value == "true") {
			t.Errorf("cockpit.conf's [%s] %s is %v, want %s", want.Section, want.Key, got, want.Value)
		}
	}
	if got := e.Sssd["sssd"]["services"]; got != "nss, pam, ifp" {
		t.Errorf("SSSD's services are %v, and not its InfoPipe", got)
	}
	if len(e.Etc) > 0 {
		t.Errorf("files nobody asked for: %v", e.Etc)
	}
}

func TestEveryOptionDoesWhatItSays(t *testing.T) {
	e := evaluate(t, aDomain+`
		services.pam-cockpit-cert.package = "/other";
		services.pam-cockpit-cert.caFile = "/ca.pem";
		services.pam-cockpit-cert.timeout = 30;
		services.pam-cockpit-cert.debug = true;
		services.pam-cockpit-cert.tickets = false;
		services.pam-cockpit-cert.ticketFor = [ "host@a.example.com" "nfs@b.example.com" ];
		services.pam-cockpit-cert.allowUnvalidated = true;`)
	if len(e.Failures) > 0 {
		t.Errorf("failed assertions: %q", e.Failures)
	}
	if got, want := e.firstRule(), ruleOf(t, "/other/lib/security/pam_cockpit_cert.so",
		" allow_unvalidated debug no_ticket timeout=30 ticket_for=host@a.example.com ticket_for=nfs@b.example.com"); got != want {
		t.Errorf("the first rule is\n%s, want\n%s", got, want)
	}
	if want := []string{"sssd/pki/sssd_auth_ca_db.pem /ca.pem"}; !slices.Equal(e.Etc, want) {
		t.Errorf("files in /etc are %q, want %q", e.Etc, want)
	}
	for option, documented := range e.Documented {
		if !documented {
			t.Errorf("%s lacks a type, a default, an example or a description", option)
		}
	}
	if len(e.Documented) != 8 {
		t.Errorf("%d options, of which this test knows 8", len(e.Documented))
	}
}

// The rule comes before all other rules of the stack.
func TestTheRuleIsFirst(t *testing.T) {
	e := evaluate(t, aDomain+`security.pam.services.cockpit.rules.auth.site = {
		enable = true; order = 200; control = "required"; modulePath = "pam_warn.so"; };`)
	if !strings.Contains(e.firstRule(), "pam_cockpit_cert.so") || !strings.Contains(e.Pam, "pam_warn.so") {
		t.Errorf("the rules are\n%s", e.Pam)
	}
}

// An administrator's rule may be placed before the module's, or after it.
func TestRulesAroundTheRule(t *testing.T) {
	for offset, want := range map[string]int{"- 10": 0, "+ 10": 1} {
		e := evaluate(t, aDomain+`security.pam.services.cockpit.rules.auth.site = {
			enable = true; order = config.security.pam.services.cockpit.rules.auth.cockpit_cert.order `+offset+`;
			control = "required"; modulePath = "pam_warn.so"; };`)
		if lines := strings.Split(e.Pam, "\n"); !strings.Contains(lines[want], "pam_warn.so") || !strings.Contains(lines[1-want], "pam_cockpit_cert.so") {
			t.Errorf("at the module's order %s, the rules are\n%s", offset, e.Pam)
		}
	}
}

// The manual page's rule after which PAM goes on, and a rule that has its arguments
// itself, conflict with nothing.
func TestTheRuleMayBeChanged(t *testing.T) {
	control := regexp.MustCompile(`\[success=ok [^]]*user_unknown=die[^]]*\]`).FindString(read(t, "man/pam_cockpit_cert.8"))
	if control == "" {
		t.Fatal("the manual page has no rule after which PAM goes on")
	}
	e := evaluate(t, aDomain+`security.pam.services.cockpit.rules.auth.cockpit_cert = {
		control = "`+control+`"; settings.debug = true; settings.timeout = 5; };`)
	if want := "auth " + control + " /package/lib/security/pam_cockpit_cert.so debug timeout=5"; len(e.Failures) > 0 || e.firstRule() != want {
		t.Errorf("failed assertions: %q; the first rule is\n%s, want\n%s", e.Failures, e.firstRule(), want)
	}
}

// The option rejects numbers that the module would ignore.
func TestTheTimeoutIsTheModulesOwn(t *testing.T) {
	most := regexp.MustCompile(`OPTIONS_TIMEOUT_MAX (\d+)`).FindStringSubmatch(read(t, "module/options.h"))
	if most == nil || !strings.Contains(read(t, "nix/module.nix"), "ints.between 1 "+most[1]+")") {
		t.Errorf("the module takes %q, nix/module.nix something else", most)
	}
}

func TestAWrongOptionIsExplained(t *testing.T) {
	for name, c := range map[string]struct{ administrator, says string }{
		"Cockpit off":                         {`services.cockpit.enable = false;`, "logs users in to Cockpit, which is off here"},
		"SSSD off":                            {`services.sssd.enable = false;`, "SSSD is off here"},
		"no InfoPipe":                         {`services.sssd.settings.sssd.services = "nss, pam";`, "services.sssd.settings.sssd.services = "},
		"no InfoPipe in text":                 {`services.sssd.config = "[sssd]\nservices = nss, pam\n#services = ifp\n";`, "services.sssd.settings.sssd.services = "},
		"no root in InfoPipe":                 {`services.sssd.settings.ifp.allowed_uids = "alice";`, "services.sssd.settings.ifp.allowed_uids = "},
		"no PAM service":                      {`security.pam.services.cockpit.enable = false;`, "security.pam.services.cockpit.enable is off"},
		"the rule off":                        {`security.pam.services.cockpit.rules.auth.cockpit_cert.enable = false;`, "rules.auth.cockpit_cert is off"},
		"the rule behind passwords":           {`security.pam.services.cockpit.rules.auth.cockpit_cert.order = 12000;`, "rules.auth.cockpit_cert.order puts the rule"},
		"passwords before the rule":           {`security.pam.services.cockpit.rules.auth.unix.order = 50;`, "rules.auth.cockpit_cert.order puts the rule"},
		"a rule that refuses nobody":          {`security.pam.services.cockpit.rules.auth.cockpit_cert.control = "sufficient";`, "keep\nuser_unknown=die in it"},
		"a rule in another order":             {`security.pam.services.cockpit.rules.auth.cockpit_cert.control = "[default=ignore  success=done user_unknown=die]";`, ""},
		"a rule that refuses somebody else":   {`security.pam.services.cockpit.rules.auth.cockpit_cert.control = "[success=done xuser_unknown=die default=ignore]";`, "keep\nuser_unknown=die in it"},
		"rules replaced":                      {`security.pam.services.cockpit.text = "auth required pam_deny.so";`, "security.pam.services.cockpit.text is set"},
		"certificates off":                    {`services.cockpit.settings.WebService.ClientCertAuthentication = false;`, "ClientCertAuthentication is off"},
		"certificates off in Cockpit's words": {`services.cockpit.settings.WebService.ClientCertAuthentication = "no";`, "ClientCertAuthentication is off"},
		"another command":                     {`services.cockpit.settings."tls-cert".Command = "/bin/other";`, "Command is another program"},
		"no command":                          {`services.cockpit.settings."tls-cert".Command = "";`, "Command is another program"},
		"certificates on in Cockpit's words":  {`services.cockpit.settings.WebService.ClientCertAuthentication = "Yes";`, ""},
		"our command, with an option":         {`services.cockpit.settings."tls-cert".Command = "/package/libexec/pam_cockpit_cert/cockpit-cert-session --x";`, ""},
		"settings as they are":                {``, ""},
		"text that is right":                  {`services.sssd.config = "[sssd]\n services=nss ,ifp\ndomains = x\n";`, ""},
		"root among others":                   {`services.sssd.settings.ifp.allowed_uids = "alice, 0";`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := evaluate(t, theLine+c.administrator)
			switch {
			case c.says == "" && len(e.Failures) > 0:
				t.Errorf("failed: %q", e.Failures)
			case c.says != "" && (len(e.Failures) != 1 || !strings.Contains(e.Failures[0], c.says) || !strings.Contains(e.Failures[0], "services.pam-cockpit-cert")):
				t.Errorf("failed: %q, want one that names this module and has %q", e.Failures, c.says)
			}
		})
	}
	if e := evaluate(t, theLine); len(e.Failures) > 0 || len(e.Warnings) != 1 {
		t.Errorf("without a domain: failed %q, warnings %q, want one warning", e.Failures, e.Warnings)
	}
}

func TestOffItDoesNothing(t *testing.T) {
	e := evaluate(t, `services.pam-cockpit-cert.enable = false;`)
	if e.On || strings.Contains(e.Pam, "pam_cockpit_cert") || len(e.Cockpit["tls-cert"]) > 0 || len(e.Sssd) > 0 || len(e.Etc) > 0 {
		t.Errorf("%+v", e)
	}
}
