// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package ticket

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestKeytabsWithSeveralNames checks that the name of a keytab that works is found, and
// that the log says in one line why none does.
func TestKeytabsWithSeveralNames(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	own, _, _ = strings.Cut(own, ".")
	own = strings.ToUpper(own[:min(len(own), 15)]) + "$"
	const good = "alice@LAB.TEST for "
	sanitized := sanitized(t)
	k := startKDC(t)
	person(t, "alice", 61001, true)
	for name, test := range map[string]struct {
		prepare      func(t *testing.T)
		tickets, log string
	}{
		"the name before the host was renamed": {func(t *testing.T) {
			k.keytab(t, "OLD$@LAB.TEST", "HOST1$")
		}, good + "HOST1$@LAB.TEST", "^written\n$"},
		"this host's name after another's": {func(t *testing.T) {
			k.keytab(t, "", "HOST2$", "host/"+host, own)
		}, good + own + "@LAB.TEST", "^written\n$"},
		"another realm, in which the user is not": {func(t *testing.T) {
			k.keytab(t, "HOST1$@OTHER.TEST", "host/"+host)
		}, good + "host/host1.lab.test@LAB.TEST", "^written\n$"},
		"old keys": {func(t *testing.T) {
			k.keytab(t, "", "host/"+host)
			k.admin(t, "ktadd -e aes128-cts-hmac-sha1-96:normal,aes256-cts-hmac-sha1-96:normal host/"+host)
			k.admin(t, "ktadd host/"+host)
		}, good + "host/host1.lab.test@LAB.TEST", "^written\n$"},
		"many names, and none works": {func(t *testing.T) {
			k.keytab(t, "A$@LAB.TEST B$@LAB.TEST C$@LAB.TEST D$@LAB.TEST E$@LAB.TEST F$@LAB.TEST G$@LAB.TEST H$@LAB.TEST I$@LAB.TEST")
		}, "none", "^4 no Kerberos ticket: the KDC gives A\\$@LAB.TEST none: .*\n$"},
		"another realm, and a key that is stale": {func(t *testing.T) {
			k.keytab(t, "HOST1$@OTHER.TEST", "host/"+host)
			k.admin(t, "cpw -randkey host/"+host)
		}, "none", "^4 no Kerberos ticket: the KDC gives host/host1.lab.test@LAB.TEST none: .*join the domain again\n$"},
		"neither this host's key nor Cockpit's works": {func(t *testing.T) {
			k.keytab(t, "", "host/"+host)
			k.cockpit(t)
			k.admin(t, "cpw -randkey host/"+host)
			k.admin(t, "cpw -randkey HTTP/"+host)
		}, "none", "^4 no Kerberos ticket: the KDC gives host/host1.lab.test@LAB.TEST none: .*\n$"},
		"only Cockpit's key works": {func(t *testing.T) {
			k.keytab(t, "", "host/"+host)
			k.cockpit(t)
			k.admin(t, "cpw -randkey host/"+host)
		}, good + "HTTP/host1.lab.test@LAB.TEST", "^4 no Kerberos ticket: the KDC gives host/host1.lab.test@LAB.TEST none: .*\nwritten\n$"},
		"a user's key": {func(t *testing.T) {
			k.keytab(t, "somebody@LAB.TEST")
		}, "none", "^4 no Kerberos ticket: FILE:/etc/krb5.keytab has no key of this host; join the domain again\n$"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, old := range []string{"/etc/krb5.keytab", "/etc/cockpit/krb5.keytab", "/run/user/61001/" + file} {
				_ = os.Remove(old)
			}
			test.prepare(t)
			run(t, sanitized, "alice", "61001", file)
			log := withoutDebug(program(t, "alice", "61001", file))
			if !regexp.MustCompile(test.log).MatchString(log) {
				t.Errorf("reports %q, not %s", log, test.log)
			}
			if got := listed(t, "/run/user/61001/"+file); got != test.tickets {
				t.Errorf("the cache has %s; want %s", got, test.tickets)
			}
		})
	}
}

// keytab makes the host's keytab: with keys that no KDC has, of principals with their
// realm, and then with those of principals of the KDC.
func (k *kdc) keytab(t testing.TB, unknown string, names ...string) {
	t.Helper()
	var script strings.Builder
	for _, name := range strings.Fields(unknown) {
		fmt.Fprintf(&script, "addent -password -p %s -k 1 -e aes256-cts\nsecret\n", name)
	}
	if script.Len() > 0 {
		command := exec.Command("ktutil")
		command.Stdin = strings.NewReader(script.String() + "wkt /etc/krb5.keytab\n")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("ktutil: %v: %s", err, out)
		}
	}
	for _, name := range names {
		k.admin(t, "addprinc -randkey "+name) // which may be there
		k.admin(t, "ktadd "+name)
	}
}

// cockpit makes the keytab of Cockpit's documentation.
func (k *kdc) cockpit(t testing.TB) {
	t.Helper()
	if err := os.MkdirAll("/etc/cockpit", 0o755); err != nil {
		t.Fatal(err)
	}
	k.admin(t, "addprinc -randkey HTTP/"+host)
	k.admin(t, "ktadd -k /etc/cockpit/krb5.keytab HTTP/"+host)
}
