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
		state      State
		what, lack string
	}{
		"not joined":     {map[string]string{"etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": sudo}, Unused, "no Kerberos key", ""},
		"turned off":     {map[string]string{"etc/krb5.keytab": "k", "etc/pam.d/cockpit": rule + " no_ticket\n"}, Unused, "no_ticket", ""},
		"both there":     {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": sudo, "etc/pam.d/cockpit": rule + "\n"}, OK, "takes", ""},
		"for every one":  {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": domain + "[pam]\npam_gssapi_services = sudo\n", "etc/pam.d/sudo": sudo}, OK, "takes", ""},
		"SSSD's missing": {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": domain, "etc/pam.d/sudo": sudo}, Unused, "pam_gssapi_services", "pam_gssapi_services = sudo, sudo-i"},
		"other services": {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": domain + "pam_gssapi_services = sudo-i, su\n", "etc/pam.d/sudo": sudo}, Unused, "pam_gssapi_services", "pam_gssapi_services = sudo, sudo-i"},
		"PAM's missing":  {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed, "etc/pam.d/sudo": "#" + sudo}, Unused, "etc/pam.d/sudo", "auth sufficient pam_sss_gss.so"},
		"no sudo":        {map[string]string{"etc/krb5.keytab": "k", "etc/sssd/sssd.conf": allowed}, Unused, "etc/pam.d/sudo", "auth sufficient pam_sss_gss.so"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range test.files {
				path = filepath.Join(root, path)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			link := System{Root: root, Service: "cockpit"}.tickets()
			if link.State != test.state || !strings.Contains(link.What, test.what) || !strings.Contains(link.Fix, test.lack) || test.lack == "" && link.Fix != "" {
				t.Errorf("got %+v", link)
			}
			if !Healthy([]Link{link}) {
				t.Error("a host without it is not well")
			}
		})
	}
}
