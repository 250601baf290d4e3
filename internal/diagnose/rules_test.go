// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"strings"
	"testing"

	"pam_cockpit_cert/internal/sssdconf"
	"pam_cockpit_cert/internal/testutil/rootfs"
)

// The output of sssctl of SSSD 2.8.2.
func TestTheToolsWordsAreUnderstood(t *testing.T) {
	for said, want := range map[string]sssdconf.Verdict{
		"Certificate matches rule.\nMapping filter:\n\n    (mail=alice@lab.test)\n\n": {Known: true, Matches: true, Filter: "(mail=alice@lab.test)"},
		"Certificate matches rule.\n": {Known: true, Matches: true},
		"Failed to generate mapping filter [2][No such file or directory].\nCertificate does not match rule.\n": {Known: true},
		"Failed to add mapping and matching rules with error [22][Invalid argument].\n":                         {Refused: true},
		"'cert-eval-rule' must be run as root\n":                                                                {},
		"":                                                                                                      {},
	} {
		if got := verdict(said); got != want {
			t.Errorf("%q: got %+v", said, got)
		}
	}
	long := verdict("Certificate matches rule.\nMapping filter:\n\n (userCertificate;binary=" + strings.Repeat(`\30`, 1000) + ")\n")
	if len(long.Filter) > maxFilter+10 || !strings.HasSuffix(long.Filter, "...") {
		t.Errorf("a long filter is %q", long.Filter)
	}
}

func TestTheReasonsSayWhatTheRulesDid(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // without the tool
	text := "[sssd]\ndomains = d\n[domain/d]\nid_provider = ldap\n[certmap/d/one]\nmaprule = 1\n[certmap/d/two]\nmaprule = 2\n"
	config, err := sssdconf.Read(rootfs.New(t, map[string]string{"/etc/sssd/sssd.conf": text}))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		second     sssdconf.Verdict
		want, next string
	}{
		{sssdconf.Verdict{Known: true, Matches: true, Filter: "(x=y)"}, "rule two: <KU>digitalSignature<EKU>clientAuth matches, and means the user entry with (x=y)", "does the directory have that entry, in the search base of the domain? It is looked up again after 15 s"},
		{sssdconf.Verdict{}, "rule two: if <KU>digitalSignature<EKU>clientAuth matches, 2", "first; with the package sssd-tools, check says which rules match"},
	} {
		report := CertificateReport{Next: "first"}
		report.searched(config, nil, func(rule sssdconf.Rule) sssdconf.Verdict {
			if rule.Name == "one" {
				return sssdconf.Verdict{Known: true}
			}
			return test.second
		})
		if len(report.Reasons) != 2 || !strings.Contains(report.Reasons[0], "rule one: <KU>digitalSignature<EKU>clientAuth does not match") ||
			!strings.Contains(report.Reasons[1], test.want) || report.Next != test.next {
			t.Errorf("got %+v", report)
		}
	}
}
