// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd_test

import (
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// byData is FreeIPA's own rule: it finds the whole certificate, or its subject and
// issuer in ipaCertMapData.
const byData = "\n[certmap/lab.test/freeipa]\n" +
	"maprule = LDAP:(|(userCertificate;binary={cert!bin})(ipacertmapdata=X509:<I>{issuer_dn!nss_x500}<S>{subject_dn!nss_x500}))\n"

// TestLoginWithFreeIPAsDirectory checks that SSSD finds a certificate in FreeIPA's
// directory server without a rule, and by FreeIPA's mapping data.
func TestLoginWithFreeIPAsDirectory(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	dora, bob, twins := ca.Issue("dora"), ca.Issue("bob"), ca.Issue("twins")
	people := []sssd.Person{
		{Name: "dora", UID: 62001, Certificates: [][]byte{ca.Issue("dora").DER, dora.DER}},
		{Name: "bob", UID: 62002, CertMapData: "X509:<I>O=Lab,CN=Lab CA<S>O=Lab,CN=bob"},
		{Name: "ann", UID: 62003, Certificates: [][]byte{twins.DER}},
		{Name: "bea", UID: 62004, CertMapData: "X509:<I>O=Lab,CN=Lab CA<S>O=Lab,CN=twins"},
	}
	type row struct {
		name        string
		certificate pki.Certificate
		expect
	}
	for name, test := range map[string]struct {
		rules string
		rows  []row
	}{
		"without a rule": {"", []row{
			{"stored", dora, expect{result: pamhost.Success, user: "dora", log: "is user dora's"}},
			{"mapping data", bob, expect{result: pamhost.UserUnknown, log: "SSSD knows no user by this certificate"}},
		}},
		"with FreeIPA's rule": {byData, []row{
			{"stored", dora, expect{result: pamhost.Success, user: "dora"}},
			{"mapping data", bob, expect{result: pamhost.Success, user: "bob", log: "is user bob's"}},
			{"mapping data, a new card", ca.Issue("bob"), expect{result: pamhost.Success, user: "bob"}},
			{"one's certificate, another's data", twins, expect{result: pamhost.UserUnknown, log: "SSSD knows several users"}},
			{"nobody's", ca.Issue("eve"), expect{result: pamhost.UserUnknown, log: "SSSD knows no user by this certificate"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := sssd.New(t, ca.PEM())
			d := s.StartFreeIPAsDirectory(people...)
			s.Start("[sssd]\nservices = nss, ifp\ndomains = lab.test\n" + d.Domain("lab.test", "") + test.rules)
			for _, row := range test.rows {
				t.Run(row.name, func(t *testing.T) {
					report, syslog := login{certificate: row.certificate}.run(t)
					row.check(t, report, syslog)
				})
			}
		})
	}
}
