// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"fmt"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/pki"
)

// Paths on the machines.
const (
	cockpitConf = "/etc/cockpit/cockpit.conf"
	pamService  = "/etc/pam.d/cockpit"
	authorities = "/etc/sssd/pki/sssd_auth_ca_db.pem"
	crl         = "/etc/sssd/pki/lab.crl"
	// clients has a .pem and a .key for every certificate.
	clients = "/root/clients/"
)

const (
	password   = "correct horse"
	commonAuth = "/etc/pam.d/common-auth"
)

// others is how many users there are besides alice and bob.
const others = 18

// lab is a machine whose SSSD maps certificates to local users.
type lab struct {
	*machine.Machine
	suite
	certificates map[string]pki.Certificate
	logins       int    // of a crowd, all of which are in at the same time
	atOnce       int    // of a crowd, how many log in at a time
	timeout      string // lines of cockpit.conf after [tls-cert]
}

// users returns the names of all users who have certificates.
func users() []string {
	names := []string{"alice", "bob"}
	for i := range others {
		names = append(names, fmt.Sprintf("user%02d", i+1))
	}
	return names
}

// prepare configures the overlay as an administrator does before the first boot.
func prepare(t *testing.T, s suite, o *machine.Overlay) *lab {
	t.Helper()
	if !s.relay {
		o.Sh(t, `cp "$(dpkg -L cockpit-ws | grep /pam_cockpit_cert.so$)" /root/theirs.so`)
	}
	install(t, s, o)
	installBrowser(t, o)
	l := &lab{suite: s, certificates: map[string]pki.Certificate{}, logins: 50, atOnce: 25}

	ca, stranger := pki.NewAuthority("Lab CA"), pki.NewAuthority("Another CA")
	for _, name := range users() {
		l.certificates[name] = ca.Issue(name)
	}
	l.certificates["stranger"] = stranger.Issue("alice")
	l.certificates["unmapped"] = ca.Issue("nobody here")
	l.certificates["expired"] = ca.Issue("alice", pki.Expired)
	l.certificates["revoked"] = ca.Issue("alice")
	ca.Revoke(l.certificates["revoked"])
	for name, certificate := range l.certificates {
		o.Write(t, clients+name+".pem", 0o600, certificate.PEM())
		o.Write(t, clients+name+".key", 0o600, certificate.KeyPEM())
	}
	o.Write(t, authorities, 0o644, ca.PEM())
	o.Write(t, crl, 0o644, ca.CRL())

	var conf strings.Builder
	fmt.Fprintf(&conf, "[sssd]\nservices = nss\ndomains = local\ncertificate_verification = crl_file=%s\n", crl)
	fmt.Fprintf(&conf, "[domain/local]\n%s", s.domain)
	for _, name := range users() {
		// In such a domain, a rule maps to the account with the rule's name.
		fmt.Fprintf(&conf, "[certmap/local/%s]\nmatchrule = <SUBJECT>^CN=%[1]s,O=Lab$\n", name)
	}
	o.Write(t, "/etc/sssd/sssd.conf", 0o600, []byte(conf.String()))

	o.Run(t, append([]string{"sh", "-euc", `
		secret=$1; shift
		# No home: the first session makes it.
		for user; do useradd -M -s /bin/bash "$user"; echo "$user:$secret"; done | chpasswd
		echo "session optional pam_mkhomedir.so" >>/etc/pam.d/common-session
		chown --reference=/etc/sssd/sssd.conf /etc/sssd/pki/* 2>/dev/null || true
		systemctl -q enable cockpit.socket sssd.service`, "sh", password}, users()...)...)
	return l
}

// unhurried are lines of cockpit.conf, after [tls-cert], for logins that take longer
// than Cockpit waits by default: many at a time, or on an emulated machine.
const unhurried = "timeout = 300\n[basic]\ntimeout = 300\n"

// onSection is the section of cockpit.conf that turns certificates on.
const onSection = "[WebService]\nClientCertAuthentication = true\n"

func (l *lab) relaySection() string {
	if !l.relay {
		return ""
	}
	return "[tls-cert]\nCommand = /usr/libexec/pam_cockpit_cert/cockpit-cert-session\n" + l.timeout
}

// on turns certificates on.
func (l *lab) on(t testing.TB) {
	t.Helper()
	l.rule(t)
	l.configure(t, onSection+l.relaySection())
}

// patient turns certificates on with time limits that no login exceeds, until the test ends.
func (l *lab) patient(t *testing.T) {
	t.Helper()
	timeout, options := l.timeout, l.options
	t.Cleanup(func() {
		l.timeout, l.options = timeout, options
		l.on(t)
	})
	l.timeout, l.options = unhurried, l.options+" timeout=120"
	l.on(t)
}

// rule adds the module's rule to Cockpit's service, in place of Debian 11's own.
func (l *lab) rule(t testing.TB) {
	t.Helper()
	l.Sh(t, `
		pam-cockpit-cert pam remove
		pam-cockpit-cert pam install
		sed -i 's/\(pam_cockpit_cert.so\).*/\1 debug `+l.options+`/' `+pamService)
}

// configure writes cockpit.conf, and makes Cockpit read it.
func (l *lab) configure(t testing.TB, conf string) {
	t.Helper()
	l.Write(t, cockpitConf, 0o644, []byte(conf))
	l.restart(t)
}

// restart ends Cockpit with all its instances.
func (l *lab) restart(t testing.TB) {
	t.Helper()
	l.Sh(t, `systemctl stop cockpit.service 'cockpit-wsinstance-*' system-cockpithttps.slice
		systemctl reset-failed
		systemctl restart cockpit.socket`)
}
