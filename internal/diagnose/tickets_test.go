// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatSudoLacksForTickets(t *testing.T) {
	const (
		domain  = "[sssd]\ndomains = ad.lab\n[domain/ad.lab]\nid_provider = ad\n"
		allowed = domain + "pam_gssapi_services = sudo-i, sudo\n"
		sudo    = "auth sufficient pam_sss_gss.so\n@include common-auth\n"
		rule    = "-auth [success=done default=ignore] pam_cockpit_cert.so"
	)
	with := func(files map[string]string, path, text string) map[string]string { files[path] = text; return files }
	sudoers := func(config, stack string) map[string]string {
		return map[string]string{
			"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": config, "etc/pam.d/sudo": stack,
			"etc/pam.d/common-auth": "auth required pam_unix.so\n",
		}
	}
	for name, test := range map[string]struct {
		files      map[string]string
		what, lack string // no check if the first is empty
	}{
		"not joined":     {map[string]string{"etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": sudo}, "", ""},
		"turned off":     {map[string]string{"etc/krb5.keytab": "k", "etc/pam.d/cockpit": rule + " no_ticket\n"}, "", ""},
		"both there":     {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": sudo, "etc/pam.d/cockpit": rule + "\n", "etc/pam.d/common-auth": ""}, "takes", ""},
		"for every one":  {sudoers(domain+"[pam]\npam_gssapi_services = sudo\n", sudo), "takes", ""},
		"SSSD's missing": {sudoers(domain, sudo), "pam_gssapi_services", "pam_gssapi_services = sudo, sudo-i"},
		"other services": {sudoers(domain+"pam_gssapi_services = sudo-i, su\n", sudo), "pam_gssapi_services", "pam_gssapi_services = sudo, sudo-i"},
		"PAM's missing":  {sudoers(allowed, "#"+sudo), "etc/pam.d/sudo", "auth sufficient pam_sss_gss.so"},
		"no sudo":        {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed}, "etc/pam.d/sudo", "install sudo, and make this the first rule of"},

		"off in the domain":        {sudoers(domain+"pam_gssapi_services = -\n[pam]\npam_gssapi_services = sudo\n", sudo), "pam_gssapi_services", "in the domain's section"},
		"others in the domain":     {sudoers(domain+"pam_gssapi_services = su\n[pam]\npam_gssapi_services = sudo\n", sudo), "pam_gssapi_services", "in the domain's section"},
		"nothing in the domain":    {sudoers(domain+"pam_gssapi_services =\n[pam]\npam_gssapi_services = sudo\n", sudo), "takes", ""},
		"in the domain only":       {sudoers(allowed+"[pam]\npam_gssapi_services = -\n", sudo), "takes", ""},
		"in another spelling":      {sudoers(domain+"PAM_GSSAPI_Services=sudo-i,\tsudo\n", sudo), "takes", ""},
		"in capitals":              {sudoers(domain+"pam_gssapi_services = SUDO\n", sudo), "pam_gssapi_services", "in the domain's section"},
		"in a comment":             {sudoers(domain+"#pam_gssapi_services = sudo\n", sudo), "pam_gssapi_services", "in the domain's section"},
		"in a domain that is off":  {sudoers(domain+"[domain/old]\npam_gssapi_services = sudo\n", sudo), "pam_gssapi_services", "in the domain's section"},
		"in the second domain":     {sudoers("[sssd]\ndomains = a, b\n[domain/a]\n[domain/b]\npam_gssapi_services = sudo\n", sudo), "takes", ""},
		"in an included file":      {with(sudoers(allowed, "auth include system-auth\n"), "etc/pam.d/system-auth", "auth required pam_env.so\n"+sudo[:strings.Index(sudo, "@")]+"auth required pam_unix.so\n"), "takes", ""},
		"in an included file, off": {with(sudoers(allowed, "@include common-auth\n"), "etc/pam.d/common-auth", "auth sufficient pam_sss_gss\n"), "is not in", "make this the first rule"},
		"too late":                 {sudoers(allowed, "auth sufficient pam_unix.so\n"+sudo), "comes after a module that asks for the password", "make this the first rule"},
		"too late, by an include":  {with(sudoers(allowed, "@include other\nauth sufficient pam_sss_gss.so\n"), "etc/pam.d/other", "auth required pam_sss.so\n"), "comes after a module that asks for the password", "make this the first rule"},
		"required":                 {sudoers(allowed, "auth required pam_sss_gss.so\nauth required pam_unix.so\n"), "is not sufficient", "make this the first rule"},
		"in brackets":              {sudoers(allowed, "-auth [success=done default=ignore] /usr/lib64/security/pam_sss_gss.so debug\n"), "takes", ""},
		"as a jump":                {sudoers(allowed, "auth [success=1 default=ignore] pam_sss_gss.so\nauth required pam_unix.so\nauth required pam_permit.so\n"), "takes", ""},
		"for accounts only":        {sudoers(allowed, "account sufficient pam_sss_gss.so\n"), "is not in", "make this the first rule"},
		"an include of nothing":    {sudoers(allowed, "@include none\n"), "none, which a rule includes, does not exist", "correct that"},
		"the vendor's file": {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed, "etc/pam.d/other": "", "usr/lib/pam.d/sudo": "auth required pam_unix.so\n"},
			"pam_sss_gss.so is not in", "usr/lib/pam.d/sudo to "},

		// sudo -i is a service of its own where there is a file for it.
		"sudo -i too":          {with(sudoers(allowed, sudo), "etc/pam.d/sudo-i", sudo), "sudo takes", ""},
		"sudo -i by sudo":      {with(sudoers(allowed, sudo), "etc/pam.d/sudo-i", "auth include sudo\n"), "sudo takes", ""},
		"sudo only":            {with(sudoers(allowed, sudo), "etc/pam.d/sudo-i", "@include common-auth\n"), "sudo -i asks for a password: pam_sss_gss.so is not in", "etc/pam.d/sudo-i: auth sufficient pam_sss_gss.so"},
		"sudo -i only":         {with(sudoers(allowed, "@include common-auth\n"), "etc/pam.d/sudo-i", sudo), "sudo asks for a password: pam_sss_gss.so is not in", "etc/pam.d/sudo: auth sufficient pam_sss_gss.so"},
		"sudo -i not for SSSD": {with(sudoers(domain+"pam_gssapi_services = sudo\n", sudo), "etc/pam.d/sudo-i", sudo), "sudo -i asks for a password: SSSD's pam_gssapi_services does not name sudo-i", "pam_gssapi_services = sudo, sudo-i"},
		"neither":              {with(sudoers(domain, "@include common-auth\n"), "etc/pam.d/sudo-i", "@include common-auth\n"), "sudo and sudo -i ask for a password: SSSD's pam_gssapi_services does not name sudo and sudo-i; pam_sss_gss.so is not in", "etc/pam.d/sudo-i: auth sufficient pam_sss_gss.so"},
		"sudo -i by sudo, off": {with(sudoers(allowed, "@include common-auth\n"), "etc/pam.d/sudo-i", "auth include sudo\n"), "sudo and sudo -i ask for a password: pam_sss_gss.so is not in", "etc/pam.d/sudo: auth sufficient pam_sss_gss.so"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range test.files {
				path = filepath.Join(root, path)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			checks := System{Root: root, Service: "cockpit"}.tickets()
			if test.what == "" {
				if len(checks) > 0 {
					t.Errorf("got %+v", checks)
				}
				return
			}
			check, advice := checks[0], ""
			if check.Fix != nil {
				advice = check.Fix.Text
			}
			if name == "sudo -i by sudo, off" && strings.Contains(check.Summary+advice, "etc/pam.d/sudo-i") {
				t.Errorf("a second rule is asked for: %+v, %q", check, advice)
			}
			if check.State != OK || !strings.Contains(check.Summary, test.what) || !strings.Contains(advice, test.lack) || (test.lack == "") != (advice == "") {
				t.Errorf("got %+v, %q", check, advice)
			}
		})
	}
}
