// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package container

import (
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// directory is an LDAP server outside the container, with one user, whose entry has
// her certificate. Inside, only SSSD knows her.
type directory struct{ dir string }

// slapdConf has an extra attribute for certificates, because OpenLDAP, unlike other
// servers, cannot answer SSSD's search for userCertificate.
const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'labUserCert' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'labCertUser' SUP top AUXILIARY MAY labUserCert )
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile DIR/pid
database mdb
suffix "dc=lab,dc=test"
directory DIR/db
index objectClass,uid,uidNumber,gidNumber,labUserCert eq
`

const entries = `dn: dc=lab,dc=test
objectClass: dcObject
objectClass: organization
dc: lab
o: lab

dn: uid=alice,dc=lab,dc=test
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: labCertUser
uid: alice
cn: Alice
sn: Alice
uidNumber: 62001
gidNumber: 62001
homeDirectory: /home/alice
loginShell: /bin/bash
labUserCert:: CERTIFICATE

dn: cn=alice,dc=lab,dc=test
objectClass: posixGroup
cn: alice
gidNumber: 62001
`

// sssdConf is the configuration that an administrator gives to the container.
const sssdConf = `[sssd]
services = nss, pam, ifp
domains = lab.test

[domain/lab.test]
id_provider = ldap
auth_provider = none
ldap_uri = ldap://` + outside + `:389
ldap_search_base = dc=lab,dc=test
ldap_id_use_start_tls = false
ldap_user_certificate = labUserCert
`

func newDirectory(t *testing.T, certificate []byte) directory {
	t.Helper()
	d := directory{t.TempDir()}
	if err := os.Mkdir(filepath.Join(d.dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.dir, "slapd.conf"), strings.ReplaceAll(slapdConf, "DIR", d.dir))
	ldif := filepath.Join(d.dir, "entries.ldif")
	write(t, ldif, strings.ReplaceAll(entries, "CERTIFICATE", base64.StdEncoding.EncodeToString(certificate)))
	run(t, "slapadd", "-q", "-f", filepath.Join(d.dir, "slapd.conf"), "-l", ldif)
	return d
}

// serve makes it reachable from a container until the test ends.
func (d directory) serve(t *testing.T, b *box) {
	t.Helper()
	cmd := b.outsideCommand("slapd", "-d", "0", "-f", filepath.Join(d.dir, "slapd.conf"),
		"-h", "ldap://"+net.JoinHostPort(outside, "389")+"/")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(stop)
	b.until("a directory that answers", func() bool {
		return check(exec.Command("nsenter", "--target", itoa(b.nspawn.Process.Pid), "--net",
			"bash", "-c", "exec 3<>/dev/tcp/"+outside+"/389")) == nil
	})
	// SSSD has noticed that the server was not running, and would try again in a minute.
	b.until("SSSD knowing alice", func() bool {
		if out, err := b.output("systemctl", "kill", "--signal=USR2", "--kill-whom=main", "sssd.service"); err != nil {
			t.Fatalf("telling SSSD that it is online: %v: %s", err, out)
		}
		_, err := b.output("getent", "passwd", "alice")
		return err == nil
	})
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
