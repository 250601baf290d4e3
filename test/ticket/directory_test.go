// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package ticket

import (
	"os"
	"os/exec"
	"testing"

	"pam_cockpit_cert/internal/testutil/pamhost"
)

// library stands for SSSD's, which here has no SSSD to ask. It knows one user by the
// directory's name; of another one it does not know the name.
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
// their own tickets, and not those of the user who has that name in the domain.
func TestNameOnThisHost(t *testing.T) {
	k := startKDC(t)
	k.admin(t, "addprinc -pw secret bob")
	person(t, "bob", 61001, true)
	person(t, "alice", 61001, true)
	person(t, "gina smith", 61002, true)
	dir := t.TempDir()
	write(t, dir+"/library.c", library)
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", dir+"/libsss_nss_idmap.so.0", dir+"/library.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, test := range map[string]struct{ uid, tickets string }{
		"bob":        {"61001", "alice@LAB.TEST for host/host1.lab.test@LAB.TEST"},
		"gina smith": {"61002", "gina smith@LAB.TEST for host/host1.lab.test@LAB.TEST"},
	} {
		command := exec.Command(pamhost.Built(t, "cockpit-cert-ticket"), name, test.uid, file)
		command.Env = []string{"LD_LIBRARY_PATH=" + dir}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		path := "/run/user/" + test.uid + "/" + file
		if got := listed(t, path); got != test.tickets {
			t.Errorf("%s: the cache has %s; want %s\n%s", name, got, test.tickets, out)
		}
		_ = os.Remove(path)
	}
}
