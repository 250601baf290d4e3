// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd

import (
	"encoding/base64"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
)

// Directory is a real LDAP server with entries of users.
type Directory struct {
	URI         string
	daemon      *daemon
	certificate string // the attribute in which SSSD finds whole certificates
}

// Person is an entry of the directory.
type Person struct {
	Name         string
	UID          int
	Certificates [][]byte // DER
	CertMapData  string   // FreeIPA's ipaCertMapData
}

// slapdConfig adds to OpenLDAP's schema an attribute for certificates that is a
// plain string of octets. Without a rule SSSD searches userCertificate;binary for
// the whole certificate. FreeIPA and Active Directory can answer that search;
// OpenLDAP can only answer it for this attribute.
const slapdConfig = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'octets' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'hasOctets' SUP top AUXILIARY MAY octets )
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix dc=lab,dc=test
directory /var/lib/ldap
`

// StartDirectory starts slapd(8) on a port of its own, until the test ends.
func (s *SSSD) StartDirectory(people ...Person) *Directory {
	s.t.Helper()
	if _, err := exec.LookPath("/usr/sbin/slapd"); err != nil {
		s.t.Skip("no slapd here: install slapd, sssd-ldap, libnss-sss")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", "/var/lib/ldap").CombinedOutput(); err != nil {
		s.t.Fatalf("an empty directory: %v: %s", err, out)
	}
	s.t.Cleanup(func() {
		if err := syscall.Unmount("/var/lib/ldap", syscall.MNT_DETACH); err != nil {
			s.t.Errorf("unmounting the directory: %v", err)
		}
	})
	const config, data = "/etc/ldap/test.conf", "/etc/ldap/test.ldif"
	s.Write(config, slapdConfig)
	s.Write(data, "dn: dc=lab,dc=test\nobjectClass: dcObject\nobjectClass: organization\no: lab\ndc: lab\n"+ldif(people, "hasOctets"))
	if out, err := exec.Command("/usr/sbin/slapadd", "-q", "-f", config, "-l", data).CombinedOutput(); err != nil {
		s.t.Fatalf("filling the directory: %v: %s", err, out)
	}
	port := freePort(s)
	d := &Directory{URI: fmt.Sprintf("ldap://127.0.0.1:%d", port), certificate: "octets"}
	s.start("/usr/sbin/slapd", "-d", "0", "-f", config, "-h", d.URI)
	d.daemon = s.daemons[len(s.daemons)-1]
	s.until("the directory answers", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(d.URI, "ldap://"))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	s.useForUsers()
	return d
}

// useForUsers edits nsswitch.conf like Debian's libnss-sss at its installation.
func (s *SSSD) useForUsers() {
	s.t.Helper()
	if out, err := exec.Command("sed", "-i", `/ sss\b/! s/^\(passwd\|group\):.*/& sss/`, "/etc/nsswitch.conf").CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// Stop ends the LDAP server, so that connections to it are refused.
func (d *Directory) Stop() {
	_ = d.daemon.command.Process.Kill()
	<-d.daemon.done
}

// Domain returns the part of sssd.conf for a domain with this directory. Unless
// more says otherwise, SSSD searches for whole certificates, as with FreeIPA.
func (d *Directory) Domain(domain, more string) string {
	return "[domain/" + domain + "]\n" + `id_provider = ldap
auth_provider = none
ldap_schema = rfc2307
ldap_search_base = dc=lab,dc=test
ldap_id_use_start_tls = false
ldap_user_certificate = ` + d.certificate + `
ldap_uri = ` + d.URI + "\n" + more
}

// ldif returns the entries of the people, each with this object class as well.
func ldif(people []Person, class string) string {
	var text string
	for _, p := range people {
		text += fmt.Sprintf(`
dn: uidNumber=%[2]d,dc=lab,dc=test
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: %[3]s
uid: %[1]s
cn: %[1]s
sn: %[1]s
uidNumber: %[2]d
gidNumber: %[2]d
homeDirectory: /nonexistent
`, p.Name, p.UID, class)
		for _, der := range p.Certificates {
			encoded := base64.StdEncoding.EncodeToString(der)
			text += "userCertificate;binary:: " + encoded + "\n"
			if class == "hasOctets" {
				text += "octets:: " + encoded + "\n"
			}
		}
		if p.CertMapData != "" {
			text += "ipaCertMapData: " + p.CertMapData + "\n"
		}
	}
	return text
}

func freePort(s *SSSD) int {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
