// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package domain

import (
	"encoding/base64"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// nobodyElse checks that a user cannot become another user, or the host, with the
// tickets in the session's cache and the domain controller's answers to them.
func (h host) nobodyElse(t *testing.T) {
	h.option(t, "ticket_for=host@"+h.other())
	program := t.TempDir() + "/pretend"
	script := `gcc -Wall -Wextra -Werror $(pkg-config --cflags krb5) -o "$1" pretend/pretend.c $(pkg-config --libs krb5)`
	if out, err := exec.Command("sh", "-euc", script, "sh", program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Try(t, "test", "-e", "/usr/local/bin/pretend"); err != nil {
		h.Copy(t, program, "/usr/local/bin/pretend")
	}
	got := h.enter(t, "alice", `
		pretend "$KRB5CCNAME" FILE:/tmp/pretended || echo "cannot pretend"
		klist -C | sed -n 's/^\(Default principal.*\)/cache: \1/p; s/^.*for client \(.*\),.*/cache: client \1/p; s/^config: .*/cache: &/p; s/.* \(krbtgt.*\)/cache: \1/p'
		for cache in "$KRB5CCNAME" FILE:/tmp/pretended; do
			export KRB5CCNAME=$cache
			kvno cifs/dc.ad.lab && echo "got a ticket of alice's for another service with $cache"
			kvno -U bob host/`+fullName(h.suite)+` && echo "got a ticket of bob's with $cache"
			kvno krbtgt/AD.LAB && [ "$cache" != FILE:/tmp/pretended ] && echo "got a ticket-granting ticket with $cache"
			kinit -R && echo "renewed $cache"
		done
		kinit -k && echo "got the host's"
		cat /etc/krb5.keytab >/dev/null && echo "read the host's key"
		base64 -w0 /tmp/pretended | sed 's/^/copy: /'; echo
		rm -f /tmp/pretended
		true`)
	var copied string
	for line := range strings.Lines(got.out) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "copy: "); ok {
			copied = text
			continue
		}
		for _, bad := range []string{"got ", "renewed ", "read ", "cannot pretend"} {
			if strings.HasPrefix(line, bad) {
				t.Error(line)
			}
		}
		if text, ok := strings.CutPrefix(line, "cache: "); ok && text != "Default principal: alice@AD.LAB" {
			t.Errorf("the cache has %s", text)
		}
	}
	if !strings.Contains(got.out, "cache: Default principal: alice@AD.LAB") || copied == "" {
		t.Fatalf("alice has no cache: %s", got.out)
	}
	// Another user with a copy of the cache cannot become alice on this host.
	if _, err := base64.StdEncoding.DecodeString(copied); err != nil {
		t.Fatal(err)
	}
	got = h.enter(t, "bob", `
		echo `+copied+` | base64 -d >/tmp/of-alice
		export KRB5CCNAME=FILE:/tmp/of-alice
		echo "sudo: $(sudo -A id -un 2>&1)"
		echo "ssh: $(`+ssh("bob@"+fullName(h.suite))+` id -un 2>&1)"
		rm /tmp/of-alice`)
	if !strings.Contains(got.out, "sudo: ") || strings.Contains(got.out, "sudo: root") || strings.Contains(got.out, "ssh: bob") {
		t.Errorf("bob, with alice's tickets:\n%s", got.out)
	}
}
