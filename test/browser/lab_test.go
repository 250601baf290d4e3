// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package browser

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/pki"
)

const (
	password = "correct horse"
	address  = "https://localhost:9090"
)

// people have accounts, and certificates that map to them.
var people = []string{"alice", "carol"}

// lab is a machine with Cockpit, and the computer of the person before it.
type lab struct {
	suite
	*machine.Machine
	desk     *machine.Neighbour
	ca       *pki.Authority
	browsers map[string]*browser // by whose certificate it has
	homes    int                 // so many were made
	drivers  int                 // so many were started
	pictures string              // the directory for them
}

// boot makes a machine as an administrator does who has read README.md, and a
// person's computer from this root.
func boot(t *testing.T, s suite, computer string) *lab {
	t.Helper()
	o := machine.NewOverlay(t, machine.Root(t, s.recipe))
	l := &lab{suite: s, ca: pki.NewAuthority("Lab CA"), browsers: map[string]*browser{},
		pictures: filepath.Join(machine.Source(t), "build", "pictures")}
	o.Copy(t, debian.Package(t, debian.Build(t, s.recipe.Suite)), "/root/package.deb")
	o.Sh(t, "apt-get -y --no-install-recommends install /root/package.deb")
	o.Write(t, "/etc/hostname", 0o644, []byte("server\n"))
	o.Write(t, "/etc/sssd/pki/sssd_auth_ca_db.pem", 0o644, l.ca.PEM())
	var conf strings.Builder
	fmt.Fprintf(&conf, "[sssd]\nservices = nss\ndomains = local\n[domain/local]\n%s", s.domain)
	for _, name := range people {
		// A rule of such a domain maps to the account of its name.
		fmt.Fprintf(&conf, "[certmap/local/%s]\nmatchrule = <SUBJECT>^CN=%[1]s,O=Lab$\n", name)
	}
	o.Write(t, "/etc/sssd/sssd.conf", 0o600, []byte(conf.String()))
	o.Run(t, append([]string{"sh", "-euc", `
		secret=$1; shift
		for user; do useradd -m -s /bin/bash "$user"; echo "$user:$secret"; done | chpasswd
		usermod -aG sudo alice
		chown --reference=/etc/sssd/sssd.conf /etc/sssd/pki/* 2>/dev/null || true
		pam-cockpit-cert enable
		systemctl -q enable cockpit.socket sssd.service`, "sh", password}, people...)...)
	d := machine.NewOverlay(t, computer)
	// Nobody can answer the question which certificate to use: that dialog is not of the page.
	d.Write(t, "/etc/chromium/policies/managed/lab.json", 0o644,
		[]byte(`{"AutoSelectCertificateForUrls": ["{\"pattern\":\"`+address+`\",\"filter\":{}}"]}`))
	l.Machine = machine.Boot(t, o)
	l.desk = machine.Beside(t, l.Machine, d)
	return l
}

// person is before a browser that has the certificate which the lab's authority
// issued to this name, or none, and is not logged in. For as long as it runs a
// browser keeps the certificate that it chose: each name has one of its own.
func (l *lab) person(t *testing.T, name string) *browser {
	t.Helper()
	started, ok := l.browsers[name]
	if !ok {
		started = l.start(t, name)
		l.browsers[name] = started
	}
	b := *started
	b.t = t
	b.forget()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(b.describe(l.picture("failed " + t.Name())))
			journal, _ := l.Try(t, "journalctl", "--no-pager", "--lines=40")
			t.Log(journal)
		}
	})
	return &b
}

// start starts a browser for a person with this certificate, or none.
func (l *lab) start(t *testing.T, name string) *browser {
	t.Helper()
	home := l.home(t)
	if name != "" {
		certificate := l.ca.Issue(name)
		l.desk.Write(t, home+"/client.pem", 0o600, append(certificate.PEM(), certificate.KeyPEM()...))
		l.desk.Sh(t, `cd `+home+`
			openssl pkcs12 -export -in client.pem -out client.p12 -name client -passout pass:x
			pk12util -i client.p12 -d sql:.pki/nssdb -W x -K ''`)
	}
	return l.chromium(t, home, "")
}

// home makes a home directory for a person, with a store for certificates.
func (l *lab) home(t *testing.T) string {
	t.Helper()
	l.homes++
	home := fmt.Sprintf("/home/person%d", l.homes)
	l.desk.Sh(t, `mkdir -p `+home+`/.pki/nssdb && certutil -N -d sql:`+home+`/.pki/nssdb --empty-password`)
	return home
}

// chromium starts chromedriver and, by it, Chromium: on an X screen, or headless.
func (l *lab) chromium(t *testing.T, home, screen string) *browser {
	t.Helper()
	l.drivers++
	port := 9514 + l.drivers
	l.background(t, "env", "HOME="+home, "DISPLAY="+screen, "chromedriver", fmt.Sprintf("--port=%d", port))
	arguments := []string{
		"--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--window-size=1000,700", "--lang=en", fmt.Sprintf("--user-data-dir=%s/profile%d", home, l.drivers),
	}
	if screen == "" {
		arguments = append(arguments, "--headless")
	}
	client := &http.Client{Transport: &http.Transport{DialContext: l.desk.DialContext}, Timeout: 2 * time.Minute}
	return start(t, client, fmt.Sprintf("http://127.0.0.1:%d", port), map[string]any{
		// Cockpit's own certificate is one that it made at its first start.
		"acceptInsecureCerts": true,
		// Nothing waits for the last frame of a page: the tests wait for what they look at.
		"pageLoadStrategy": "eager",
		"goog:chromeOptions": map[string]any{
			"binary": "/usr/bin/chromium",
			"args":   arguments,
		},
	})
}

// background starts a program on the desk. It ends with the desk, later than this test.
func (l *lab) background(t *testing.T, command ...string) {
	t.Helper()
	program := l.desk.Command(context.Background(), command...)
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = program.Wait() }()
}

// picture names an artefact of the tests.
func (l *lab) picture(name string) string {
	name = strings.NewReplacer("/", "-", " ", "-", "_", "-").Replace(l.name() + " " + name)
	return filepath.Join(l.pictures, name+".png")
}
