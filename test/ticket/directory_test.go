// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package ticket

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"pam_cockpit_cert/internal/testutil/pamhost"
)

// library stands for SSSD's, which here has no SSSD to ask. It knows one user by the
// directory's name; of another one it does not know the name, and the others have no SID.
const library = `
#include <errno.h>
#include <stdint.h>
#include <string.h>
int sss_nss_getsidbyuid(uint32_t uid, char **sid, int *type)
{
	*type = 1;
	*sid = uid == 61001 ? strdup("S-1-5-1") : uid == 61002 ? strdup("S-1-5-2") : NULL;
	return *sid != NULL ? 0 : ENOENT;
}
int sss_nss_getnamebysid(const char *sid, char **name, int *type)
{
	*type = 1;
	*name = strcmp(sid, "S-1-5-1") == 0 ? strdup("alice@lab.test") : NULL;
	return *name != NULL ? 0 : ENOENT;
}
`

// TestNameOnThisHost checks that a user whom SSSD gives another name on this host has
// their own tickets, and not those of the user who has that name in the domain; and
// none if SSSD cannot tell.
func TestNameOnThisHost(t *testing.T) {
	k := startKDC(t)
	k.admin(t, "addprinc -pw secret bob")
	k.admin(t, "addprinc -pw secret lars")
	person(t, "bob", 61001, true)
	person(t, "alice", 61001, true)
	person(t, "lars", 61002, true)
	person(t, "gina smith", 61003, true)
	dir := t.TempDir()
	write(t, dir+"/library.c", library)
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", dir+"/libsss_nss_idmap.so.0", dir+"/library.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	broken := t.TempDir()
	write(t, broken+"/libsss_nss_idmap.so.0", "")
	for name, test := range map[string]struct{ user, uid, libraries, tickets, log string }{
		"another name":              {"bob", "61001", dir, "alice@LAB.TEST for host/host1.lab.test@LAB.TEST", "^written\n$"},
		"a domain without SIDs":     {"gina smith", "61003", dir, "gina smith@LAB.TEST for host/host1.lab.test@LAB.TEST", "^written\n$"},
		"a name that SSSD says not": {"lars", "61002", dir, "none", "^4 no Kerberos ticket: SSSD does not say which user of the directory has the uid 61002; see sssctl domain-status\n$"},
		"no library":                {"bob", "61001", broken, "none", "^4 no Kerberos ticket: cannot load SSSD's library libsss_nss_idmap.so.0: install it\n$"},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(pamhost.Built(t, "cockpit-cert-ticket"), test.user, test.uid, file)
			command.Env = []string{"LD_LIBRARY_PATH=" + test.libraries}
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatal(err)
			}
			if log := withoutDebug(string(out)); !regexp.MustCompile(test.log).MatchString(log) {
				t.Errorf("reports %q, not %s", log, test.log)
			}
			if got := listed(t, "/run/user/"+test.uid+"/"+file); got != test.tickets {
				t.Errorf("the cache has %s; want %s", got, test.tickets)
			}
			_ = os.Remove("/run/user/" + test.uid + "/" + file)
		})
	}
}
