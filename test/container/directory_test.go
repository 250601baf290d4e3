// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package container

import (
	"crypto/x509"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/pki"
)

// directory is an LDAP server outside the container, with one user, whose entry has
// her certificate. Inside, only SSSD knows her.
type directory struct{ dir string }

// slapdConf has only schemas that come with OpenLDAP.
const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile DIR/pid
TLSCertificateFile DIR/server.pem
TLSCertificateKeyFile DIR/server.key
database mdb
suffix "dc=example,dc=org"
directory DIR/db
index objectClass,uid,uidNumber,gidNumber eq
`

const entries = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: uid=alice,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: posixAccount
uid: alice
cn: Alice
sn: Alice
uidNumber: 62001
gidNumber: 62001
homeDirectory: /home/alice
loginShell: /bin/bash
userCertificate;binary:: CERTIFICATE

dn: cn=alice,dc=example,dc=org
objectClass: posixGroup
cn: alice
gidNumber: 62001
`

// sssdConf returns the configuration that the README gives for a first try, with the
// name of the tests' authority, which is the only thing that the reader has to change.
func sssdConf(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(top, "container", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)`sssd.conf` is\n\n(    \\[sssd\\]\n.*?)\n\n\\(name your authority in `matchrule`").FindSubmatch(readme)
	const example = "^CN=Example CA,O=Example$"
	if block == nil || !strings.Contains(string(block[1]), example) {
		t.Fatal("container/README.md has no sssd.conf for a first try")
	}
	text := regexp.MustCompile("(?m)^    ").ReplaceAllString(string(block[1]), "")
	return strings.Replace(text, example, "^CN=CA,O=Lab$", 1) + "\n"
}

// directoryFiles returns the files of the directory ldap.example.org, which slapd will
// find at this path. Its own certificate is of the users' authority.
func directoryFiles(at string, authority *pki.Authority, user []byte) map[string]string {
	own := authority.Issue("ldap.example.org", func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"ldap.example.org"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	return map[string]string{
		"server.pem":   string(own.PEM()),
		"server.key":   string(own.KeyPEM()),
		"slapd.conf":   strings.ReplaceAll(slapdConf, "DIR", at),
		"entries.ldif": strings.ReplaceAll(entries, "CERTIFICATE", base64.StdEncoding.EncodeToString(user)),
	}
}

// newDirectory makes the directory on this machine.
func newDirectory(t *testing.T, authority *pki.Authority, user []byte) directory {
	t.Helper()
	d := directory{t.TempDir()}
	if err := os.Mkdir(filepath.Join(d.dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range directoryFiles(d.dir, authority, user) {
		write(t, filepath.Join(d.dir, name), text)
	}
	run(t, "slapadd", "-q", "-f", filepath.Join(d.dir, "slapd.conf"), "-l", filepath.Join(d.dir, "entries.ldif"))
	return d
}

// known lets a container find the directory by its name, like podman's --add-host.
func (d directory) known(t *testing.T, root string) {
	t.Helper()
	write(t, filepath.Join(root, "etc/hosts"), "127.0.0.1 localhost\n"+outside+" ldap.example.org\n")
	if err := os.Chmod(filepath.Join(root, "etc/hosts"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serve makes it reachable from a container until the test ends.
func (d directory) serve(t *testing.T, b *box) {
	t.Helper()
	cmd := b.outsideCommand("slapd", "-d", "0", "-f", filepath.Join(d.dir, "slapd.conf"),
		"-h", "ldaps://"+net.JoinHostPort(outside, "636")+"/")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(stop)
	b.until("a directory that answers", func() bool {
		return check(exec.Command("nsenter", "--target", itoa(b.nspawn.Process.Pid), "--net",
			"bash", "-c", "exec 3<>/dev/tcp/"+outside+"/636")) == nil
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
