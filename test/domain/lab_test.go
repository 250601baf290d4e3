// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

// Package domain logs in to booted hosts that have joined an Active Directory
// domain with Samba's controller, and uses sudo and ssh there.
package domain

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/pki"
)

func TestMain(m *testing.M) { machine.Main(m) }

const (
	secret  = "Passw0rd!"
	clients = "/root/clients/"
)

var everywhere = []string{"systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev", "procps", "krb5-user"}

// controllerRecipe is the recipe of the domain controller.
var controllerRecipe = machine.Recipe{Suite: "bookworm", Packages: append([]string{
	"samba", "samba-ad-provision", "samba-dsdb-modules", "samba-vfs-modules", "ldb-tools", "winbind", "faketime",
}, everywhere...)}

// hostRecipe returns the recipe of a host that joins the domain.
func hostRecipe(suite string) machine.Recipe {
	return machine.Recipe{Suite: suite, Packages: append([]string{
		"cockpit-ws", "cockpit-bridge", "cockpit-system", "sssd-ad", "sssd-dbus", "sssd-tools", "libnss-sss", "libpam-sss",
		"adcli", "sudo", "openssh-server", "curl", "libpam-cap",
	}, everywhere...)}
}

// lab is a domain with two hosts.
type lab struct {
	network    *machine.Network
	places     map[string]machine.Place
	controller *machine.Machine
	hosts      map[string]*machine.Machine // by suite
	people     map[string]pki.Certificate
}

// suites are the suites of the hosts.
var suites = []string{"bookworm", "trixie"}

// fullName returns a host's name with its domain.
func fullName(suite string) string { return suite + ".ad.lab" }

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{
		network: machine.NewNetwork(t), places: map[string]machine.Place{}, hosts: map[string]*machine.Machine{},
		people: map[string]pki.Certificate{},
	}
	for _, name := range append([]string{"dc"}, suites...) {
		l.places[name] = l.network.Join(t, name)
	}
	stored, card, office := pki.NewAuthority("Lab CA"), pki.NewAuthority("Card CA"), pki.NewAuthority("Office CA")
	for _, name := range accounts {
		l.people[name] = stored.Issue(name)
	}
	l.people["carded"] = card.Issue("carded")
	l.people["upn"] = office.Issue("somebody", principalName("upn@ad.lab"))
	l.startController(t)
	for _, suite := range suites {
		l.prepare(t, suite, append(append(stored.PEM(), card.PEM()...), office.PEM()...))
	}
	return l
}

// accounts are the users with a certificate in their entry.
var accounts = []string{
	"alice", "bob", "gina smith", "DORA", "suffix", "disabled", "expired", "locked", "mustchange", "sensitive",
}

// principalName adds the user's principal name, in Microsoft's form, to a certificate.
func principalName(name string) pki.Option {
	return func(c *x509.Certificate) {
		text, err := asn1.MarshalWithParams(name, "utf8")
		if err != nil {
			panic(err)
		}
		other, err := asn1.MarshalWithParams(struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}{
			asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3},
			asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text},
		}, "tag:0")
		if err != nil {
			panic(err)
		}
		names, err := asn1.Marshal([]asn1.RawValue{{FullBytes: other}})
		if err != nil {
			panic(err)
		}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names})
	}
}

// names returns the /etc/hosts of every machine.
func (l *lab) names() string {
	text := "127.0.0.1 localhost\n"
	for name, place := range l.places {
		text += fmt.Sprintf("%s %s %s\n", place.Address, fullName(name), name)
	}
	return text
}

func (l *lab) overlay(t *testing.T, name string, recipe machine.Recipe) *machine.Overlay {
	t.Helper()
	o := machine.NewOverlay(t, machine.Root(t, recipe))
	o.Write(t, "/etc/hostname", 0o644, []byte(fullName(name)+"\n"))
	return o
}

// connect boots a machine in the lab's network. It has to be called after the last
// package was installed, because that needs this machine's network.
func (l *lab) connect(t *testing.T, name string, o *machine.Overlay) *machine.Machine {
	t.Helper()
	o.Write(t, "/etc/hosts", 0o644, []byte(l.names()))
	o.Sh(t, "rm -f /etc/resolv.conf; printf 'search ad.lab\\nnameserver "+l.places["dc"].Address+"\\n' >/etc/resolv.conf")
	return machine.BootAt(t, o, l.places[name])
}

func (l *lab) startController(t *testing.T) {
	t.Helper()
	o := l.overlay(t, "dc", controllerRecipe)
	o.Sh(t, "systemctl -q disable smbd nmbd winbind; systemctl -q mask smbd nmbd winbind; systemctl -q unmask samba-ad-dc; rm -rf /etc/samba/smb.conf /var/lib/samba/private/* /var/lib/samba/sysvol")
	l.controller = l.connect(t, "dc", o)
	l.controller.Sh(t, `
		samba-tool domain provision --realm=AD.LAB --domain=ADLAB --server-role=dc --dns-backend=SAMBA_INTERNAL \
			--adminpass='`+secret+`' --host-ip=`+l.places["dc"].Address+` --use-rfc2307
		cp /var/lib/samba/private/krb5.conf /etc/krb5.conf
		systemctl -q enable --now samba-ad-dc`)
	for _, name := range accounts {
		l.controller.Run(t, "samba-tool", "user", "create", name, secret+"x")
	}
	for _, name := range []string{"carded", "upn"} {
		l.controller.Run(t, "samba-tool", "user", "create", name, secret+"x")
	}
	for _, name := range accounts {
		l.change(t, name, "userCertificate:: "+base64.StdEncoding.EncodeToString(l.people[name].DER))
	}
	l.change(t, "carded", "altSecurityIdentities: X509:<I>O=Lab,CN=Card CA<S>O=Lab,CN=carded")
	l.controller.Run(t, "samba-tool", "user", "sensitive", "sensitive", "on")
	l.change(t, "suffix", "userPrincipalName: s.fix@corp.example")
}

// change sets an attribute of a user's entry.
func (l *lab) change(t testing.TB, user, line string) {
	t.Helper()
	attribute, _, _ := strings.Cut(line, ":")
	l.controller.Sh(t, fmt.Sprintf("ldbmodify -H /var/lib/samba/private/sam.ldb <<'END'\ndn: CN=%s,CN=Users,DC=ad,DC=lab\nchangetype: modify\nreplace: %s\n%s\nEND",
		user, attribute, line))
}

// prepare makes a host that has joined the domain, with the manual page's configuration.
func (l *lab) prepare(t *testing.T, suite string, authorities []byte) {
	t.Helper()
	o := l.overlay(t, suite, hostRecipe(suite))
	o.Copy(t, debian.Package(t, debian.Build(t, suite)), "/root/package.deb")
	o.Sh(t, "apt-get -y --no-install-recommends install /root/package.deb")
	o.Build(t, "./tools/browser", "/usr/local/bin/browser")
	for name, certificate := range l.people {
		o.Write(t, clients+name+".pem", 0o600, certificate.PEM())
		o.Write(t, clients+name+".key", 0o600, certificate.KeyPEM())
	}
	o.Write(t, "/etc/krb5.conf", 0o644, []byte("[libdefaults]\ndefault_realm = AD.LAB\ndns_lookup_kdc = true\ndns_lookup_realm = false\nrdns = false\n"))
	o.Write(t, "/etc/sssd/sssd.conf", 0o600, []byte(sssdConf))
	o.Write(t, "/etc/sssd/pki/sssd_auth_ca_db.pem", 0o644, authorities)
	// The tests restart it more often than systemd would let them.
	o.Write(t, "/etc/systemd/system/sssd.service.d/often.conf", 0o644, []byte("[Unit]\nStartLimitIntervalSec=0\n"))
	o.Write(t, "/etc/sudoers.d/lab", 0o440, []byte("ALL ALL=(ALL) ALL\n"))
	o.Write(t, "/etc/ssh/sshd_config.d/lab.conf", 0o644, []byte("GSSAPIAuthentication yes\n"))
	o.Sh(t, `
		sed -i '0,/^[^#]/s/^[^#]/auth sufficient pam_sss_gss.so\n&/' /etc/pam.d/sudo /etc/pam.d/sudo-i
		echo "session optional pam_mkhomedir.so" >>/etc/pam.d/common-session
		chown --reference=/etc/sssd/sssd.conf /etc/sssd/pki/* 2>/dev/null || true
		systemctl -q disable sssd.service
		systemctl -q enable cockpit.socket ssh.service`)
	m := l.connect(t, suite, o)
	l.hosts[suite] = m
	// The controller takes some seconds to answer.
	m.Sh(t, `
		for i in $(seq 40); do
			! adcli info ad.lab >/dev/null 2>&1 || break
			sleep 0.5
		done
		echo -n '`+secret+`' | adcli join ad.lab -U Administrator --stdin-password --service-name=host --service-name=HTTP --host-fqdn `+fullName(suite)+`
		pam-cockpit-cert enable
		systemctl start sssd.service`)
	l.known(t, m, "alice")
}

// known waits until the host knows a user, as it does some seconds after SSSD has started.
func (l *lab) known(t testing.TB, m *machine.Machine, user string) {
	t.Helper()
	var out string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		var err error
		if out, err = m.Try(t, "getent", "passwd", user); err == nil {
			return
		}
	}
	t.Fatalf("SSSD does not know %s: %s\n%s", user, out, m.Sh(t, "journalctl -n 40 --no-pager; tail -n 20 /var/log/sssd/*.log"))
}

const sssdConf = `[sssd]
services = nss, pam
domains = ad.lab

[domain/ad.lab]
id_provider = ad
access_provider = ad
ldap_user_certificate = userCertificate
default_shell = /bin/bash
override_homedir = /home/%u
pam_gssapi_services = sudo, sudo-i
ad_gpo_access_control = disabled
dyndns_update = false

[certmap/ad.lab/stored]
matchrule = <ISSUER>^CN=Lab CA,O=Lab$
maprule = LDAP:(userCertificate={cert!bin})

[certmap/ad.lab/smartcard]
matchrule = <ISSUER>^CN=Card CA,O=Lab$
maprule = LDAP:(altSecurityIdentities=X509:<I>{issuer_dn!ad_x500}<S>{subject_dn!ad_x500})

[certmap/ad.lab/principal]
matchrule = <ISSUER>^CN=Office CA,O=Lab$
maprule = LDAP:(|(userPrincipal={subject_principal})(samAccountName={subject_principal.short_name}))
`

// session has the output of the commands of a session.
type session struct {
	entered bool
	out     string
}

// login logs in to a host's Cockpit with a certificate, and runs a script in the session.
func (l *lab) login(t testing.TB, m *machine.Machine, name, script string) session {
	t.Helper()
	// tools/browser reads one command on each line.
	encoded := base64.StdEncoding.EncodeToString([]byte(script))
	out, _ := m.Try(t, "sh", "-c", `echo "echo `+encoded+` | base64 -d | bash 2>&1" | browser -cert "$1"`, "sh", clients+name+".pem")
	rest, entered := strings.CutPrefix(out, "= in\n")
	if i := strings.LastIndex(rest, "= "); i >= 0 {
		rest = rest[:i]
	}
	return session{entered, rest}
}
