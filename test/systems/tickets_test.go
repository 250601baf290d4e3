// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"regexp"
	"strings"
	"testing"
)

// kerberos has the packages of a KDC.
var kerberos = []string{"krb5-kdc", "krb5-admin-server", "krb5-user"}

// tickets checks that a session of this Cockpit has a Kerberos ticket, with a KDC on the
// same machine, whose realm has the name of SSSD's domain. Other releases of Cockpit
// are tested in a real domain, by test/domain.
func (l *lab) tickets(t *testing.T) {
	t.Cleanup(func() { l.Sh(t, "systemctl stop krb5-kdc; rm -f /etc/krb5.keytab /etc/krb5.conf") })
	l.Sh(t, `
		printf '[libdefaults]\ndefault_realm = LOCAL\n[realms]\nLOCAL = {\n\tkdc = 127.0.0.1\n}\n' >/etc/krb5.conf
		kdb5_util create -s -r LOCAL -P secret
		for command in 'addprinc -pw secret alice' 'addprinc -randkey host/lab' 'ktadd host/lab'; do
			kadmin.local -r LOCAL -q "$command"
		done
		systemctl start krb5-kdc`)
	journal := l.Journal(t)
	alice := l.enter(t, "alice")
	file := strings.TrimPrefix(strings.TrimSpace(alice.do(t, "echo $KRB5CCNAME")), "FILE:")
	if !regexp.MustCompile(`^/run/user/\d+/cockpit-session-\d+\.ccache$`).MatchString(file) {
		t.Fatalf("KRB5CCNAME is %q:\n%s", file, journal.Since(t))
	}
	out := alice.do(t, "klist 2>&1")
	if !strings.Contains(out, "Default principal: alice@LOCAL\n") || !strings.Contains(out, "  host/lab@LOCAL\n") {
		t.Errorf("klist says\n%s", out)
	}
	alice.logout(t)
	eventually(t, func() string {
		out, _ := l.Try(t, "sh", "-c", "ls "+file+" 2>/dev/null")
		return out
	})
}
