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
	for name, test := range map[string]struct {
		files      map[string]string
		what, lack string // no check if the first is empty
	}{
		"not joined":     {map[string]string{"etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": sudo}, "", ""},
		"turned off":     {map[string]string{"etc/krb5.keytab": "k", "etc/pam.d/cockpit": rule + " no_ticket\n"}, "", ""},
		"both there":     {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": sudo, "etc/pam.d/cockpit": rule + "\n"}, "takes", ""},
		"for every one":  {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": domain + "[pam]\npam_gssapi_services = sudo\n", "etc/pam.d/sudo": sudo}, "takes", ""},
		"SSSD's missing": {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": domain, "etc/pam.d/sudo": sudo}, "pam_gssapi_services", "pam_gssapi_services = sudo, sudo-i"},
		"other services": {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": domain + "pam_gssapi_services = sudo-i, su\n", "etc/pam.d/sudo": sudo}, "pam_gssapi_services", "pam_gssapi_services = sudo, sudo-i"},
		"PAM's missing":  {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": "#" + sudo}, "etc/pam.d/sudo", "auth sufficient pam_sss_gss.so"},
		"no sudo":        {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed}, "etc/pam.d/sudo", "auth sufficient pam_sss_gss.so"},
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
			if check.State != OK || !strings.Contains(check.Summary, test.what) || !strings.Contains(advice, test.lack) || (test.lack == "") != (advice == "") {
				t.Errorf("got %+v, %q", check, advice)
			}
		})
	}
}
