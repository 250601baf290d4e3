// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/pki"
)

// TestItsModuleLogsIn installs the package with dnf on a machine that has
// Debian's Cockpit and SSSD, boots it, and logs in over HTTPS.
func TestItsModuleLogsIn(t *testing.T) {
	// RPM is told that they are there; it brings no file of them.
	h := newHostOf(t, []string{
		"systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev",
		"cockpit-ws", "cockpit-bridge", "cockpit-system",
		"sssd-common", "sssd-dbus", "sssd-proxy", "libnss-sss",
		"curl", "openssl", "procps", "login", "passwd",
		"gcc", "libc6-dev", "make", "libkrb5-dev", "libpam0g-dev", "pkg-config",
	}, []build{plain}, standIn{name: "cockpit-ws", version: "360"}, standIn{name: "sssd-dbus", version: "2.11.1"})
	h.must("dnf", "install", ours)
	if text := h.Run(t, "cat", service); !strings.Contains(text, rule) {
		t.Fatalf("the rule is not in %s:\n%s", service, text)
	}
	// Fedora's libpam looks for modules where the package has ours.
	h.Sh(t, `ln -sf `+stub+` "$(dirname "$(dpkg -L libpam-modules | grep /pam_unix.so$)")"/`)
	h.Run(t, tool, "enable")

	ca, another := pki.NewAuthority("CA"), pki.NewAuthority("Another CA")
	for name, certificate := range map[string]pki.Certificate{
		"alice": ca.Issue("alice"), "bob": ca.Issue("bob"), "stranger": another.Issue("alice"),
	} {
		h.Write(t, "/root/"+name+".pem", 0o600, certificate.PEM())
		h.Write(t, "/root/"+name+".key", 0o600, certificate.KeyPEM())
	}
	h.Write(t, "/etc/sssd/pki/sssd_auth_ca_db.pem", 0o644, ca.PEM())
	h.Write(t, "/etc/sssd/sssd.conf", 0o600, []byte(`[sssd]
services = nss
domains = local
[domain/local]
`+localDomain(t)+`[certmap/local/alice]
matchrule = <SUBJECT>^CN=alice,O=Lab$
`))
	h.Sh(t, `useradd -m -s /bin/bash alice
		chown --reference=/etc/sssd/sssd.conf /etc/sssd/pki/*
		systemctl -q enable cockpit.socket sssd.service`)

	m := machine.Boot(t, h.Overlay)
	journal := m.Journal(t)
	for _, c := range []struct{ certificate, status string }{
		{"alice", "200"},
		{"bob", "403"},
		{"stranger", "403"},
	} {
		got, err := m.Try(t, "curl", "--silent", "--insecure", "--max-time", "120", "--output", "/root/page", "--write-out", "%{http_code}",
			"--cert", "/root/"+c.certificate+".pem", "--key", "/root/"+c.certificate+".key", "https://localhost:9090/cockpit/login")
		if got != c.status {
			t.Errorf("%s's certificate: HTTP %q, want %s (%v)\n%s", c.certificate, got, c.status, err, m.Run(t, "cat", "/root/page"))
		}
	}
	if log := journal.Since(t); !strings.Contains(log, "pam_cockpit_cert(cockpit:auth)") || t.Failed() {
		t.Errorf("the journal of it:\n%s", log)
	}
	if status, err := m.Try(t, tool, "status"); err != nil {
		t.Errorf("pam-cockpit-cert status (%v) says:\n%s", err, status)
	}
}

// localDomain is what SSSD's domain of local users needs: up to Debian 12's
// only its provider "files" maps their certificates.
func localDomain(t *testing.T) string {
	t.Helper()
	switch suite(t) {
	case "bullseye", "bookworm":
		return "id_provider = files\n"
	}
	return "id_provider = proxy\nproxy_lib_name = files\nauth_provider = none\n"
}
