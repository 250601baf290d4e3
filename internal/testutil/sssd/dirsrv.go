// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd

import (
	"fmt"
	"os/exec"
	"syscall"
)

// dirsrvConfig is dscreate(8)'s configuration: a server with one empty database.
const dirsrvConfig = `[general]
config_version = 2
full_machine_name = localhost
strict_host_checking = False
selinux = False
[slapd]
instance_name = lab
root_password = directory secret
port = %d
self_sign_cert = False
[backend-userroot]
suffix = dc=lab,dc=test
create_suffix_entry = True
sample_entries = no
`

// certificateSchema is the schema that FreeIPA adds to the server for certificates.
const certificateSchema = `dn: cn=schema
attributeTypes: ( 2.16.840.1.113730.3.8.22.1.4 NAME 'ipaCertMapData' DESC 'Certificate mapping data' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectClasses: ( 2.16.840.1.113730.3.8.22.2.4 NAME 'ipaCertMapObject' DESC 'Object with certificate mapping data' SUP top AUXILIARY MAY ipaCertMapData )
`

// noSystemd replaces systemctl(1) for dscreate, because systemd does not run here.
const noSystemd = `#!/bin/sh
pid=/run/dirsrv/slapd-lab.pid
# There is no other in this process namespace; pidof counts no zombies, which
# nobody reaps here.
case $1 in
start)
	/usr/sbin/ns-slapd -D /etc/dirsrv/slapd-lab -i $pid
	for i in $(seq 100); do [ ! -s $pid ] || exit 0; sleep 0.1; done
	exit 1 ;;
stop)
	while servers=$(pidof ns-slapd); do kill $servers; sleep 0.1; done
	rm -f $pid ;;
is-active | status) pidof ns-slapd >/dev/null ;;
esac
`

// StartFreeIPAsDirectory starts FreeIPA's directory server, 389-ds, with FreeIPA's
// schema for certificates, until the test ends. Debian has no complete FreeIPA server.
func (s *SSSD) StartFreeIPAsDirectory(people ...Person) *Directory {
	s.t.Helper()
	if _, err := exec.LookPath("/usr/sbin/dscreate"); err != nil {
		s.t.Skip("no dscreate here: install 389-ds-base, ldap-utils")
	}
	for _, dir := range []string{"/var/lib/dirsrv", "/var/log/dirsrv"} {
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", dir).CombinedOutput(); err != nil {
			s.t.Fatalf("an empty directory: %v: %s", err, out)
		}
		s.t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				s.t.Errorf("unmounting the directory: %v", err)
			}
		})
	}
	work, port := s.t.TempDir(), freePort(s)
	d := &Directory{URI: fmt.Sprintf("ldap://127.0.0.1:%d", port), certificate: "userCertificate;binary"}
	s.Write(work+"/server.inf", fmt.Sprintf(dirsrvConfig, port))
	s.Write(work+"/bin/systemctl", noSystemd)
	s.Write(work+"/people.ldif", `dn: dc=lab,dc=test
changetype: modify
add: aci
aci: (targetattr="*")(version 3.0; acl "anyone reads"; allow (read, search, compare) userdn="ldap:///anyone";)

`+ldif(people, "ipaCertMapObject"))
	s.Write(work+"/98certmap.ldif", certificateSchema)
	script := `
		work=$1
		chmod 755 "$work/bin/systemctl"
		export PATH="$work/bin:$PATH"
		mkdir -p /run/dirsrv /run/lock
		dscreate from-file "$work/server.inf"
		systemctl stop
		install -o dirsrv -g dirsrv -m 440 "$work/98certmap.ldif" /etc/dirsrv/slapd-lab/schema/
		systemctl start
		ldapmodify -a -x -H "$2" -D "cn=Directory Manager" -w "directory secret" -f "$work/people.ldif" >/dev/null`
	if out, err := exec.Command("sh", "-euc", script, "sh", work, d.URI).CombinedOutput(); err != nil {
		s.t.Fatalf("the directory: %v: %s", err, out)
	}
	s.t.Cleanup(func() {
		if out, err := exec.Command(work+"/bin/systemctl", "stop").CombinedOutput(); err != nil {
			s.t.Errorf("stopping the directory: %v: %s", err, out)
		}
	})
	s.useForUsers()
	return d
}
