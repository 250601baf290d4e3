// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package container

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/pki"
)

// podmanHost is the recipe of the virtual machine with podman, and with a directory.
var podmanHost = machine.Recipe{Suite: "trixie", Packages: append([]string{
	"systemd", "systemd-sysv", "dbus", "udev", "curl", "slapd",
	"podman", "crun", "netavark", "aardvark-dns", "nftables",
}, machine.Guest...)}

const (
	// gateway is podman's host in the default network of its containers.
	gateway = "10.88.0.1"
	// settings is the directory of the unit's files on the host.
	settings = "/etc/pam_cockpit_cert/container/"
	released = "localhost/pam-cockpit-cert:latest"
	next     = "localhost/pam-cockpit-cert:next"
)

// runsAsUnit installs the Quadlet unit in a virtual machine with podman, as README.md
// says: there are no control groups but those of version 2.
func runsAsUnit(t *testing.T, s storage) {
	ca := pki.NewAuthority("CA")
	people := map[string]pki.Certificate{"alice": ca.Issue("alice"), "nobody": ca.Issue("nobody")}
	o := machine.NewOverlay(t, machine.Root(t, podmanHost))
	for name, c := range people {
		o.Write(t, "/root/"+name+".pem", 0o600, c.PEM())
		o.Write(t, "/root/"+name+".key", 0o600, c.KeyPEM())
	}
	for name, text := range directoryFiles("/srv/directory", ca, people["alice"].DER) {
		o.Write(t, "/srv/directory/"+name, 0o600, []byte(text))
	}
	// podman gives its containers the names that its host knows.
	o.Write(t, "/etc/hosts", 0o644, []byte("127.0.0.1 localhost\n"+gateway+" ldap.example.org\n"))
	o.Sh(t, `mkdir /srv/directory/db
		slapadd -q -f /srv/directory/slapd.conf -l /srv/directory/entries.ldif
		systemctl -q disable slapd`)
	o.Write(t, "/etc/systemd/system/directory.service", 0o644, []byte(`[Service]
ExecStart=/usr/sbin/slapd -d 0 -f /srv/directory/slapd.conf -h ldaps://0.0.0.0:636/
[Install]
WantedBy=multi-user.target
`))
	o.Sh(t, "systemctl -q enable directory.service")
	s.give(o)
	o.Write(t, "/root/sssd.conf", 0o600, []byte(sssdConf(t)))
	o.Write(t, settings+"client-ca.pem", 0o644, ca.PEM())
	cockpitConf, err := os.ReadFile(s.root() + "/etc/cockpit/cockpit.conf")
	if err != nil {
		t.Fatal(err)
	}
	// An emulated machine needs longer than Cockpit waits by default.
	o.Write(t, settings+"cockpit.conf", 0o644, append(cockpitConf, "timeout = 300\n[basic]\ntimeout = 300\n"...))
	// A machine starts the unit when it boots: it is installed after the secrets.
	o.Write(t, "/root/pam-cockpit-cert.container", 0o644, []byte(ldapUnit(t)))
	o.Write(t, "/etc/systemd/system/pam-cockpit-cert.service.d/slow.conf", 0o644, []byte("[Service]\nTimeoutStartSec=15min\n"))

	began := time.Now()
	step := func(what string) { t.Logf("%v: %s", time.Since(began).Round(time.Second), what) }
	h := podman{machine.BootVM(t, o), t}
	step("booted")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := h.Try(t, "journalctl", "--no-pager", "--lines=150")
			t.Log(out)
		}
	})
	h.Run(t, "podman", "secret", "create", "pam-cockpit-cert-sssd.conf", "/root/sssd.conf")
	h.Run(t, "rm", "/root/sssd.conf")
	h.Run(t, "mkdir", "-p", "/etc/containers/systemd")
	h.Run(t, "mv", "/root/pam-cockpit-cert.container", "/etc/containers/systemd")
	h.Run(t, "systemctl", "daemon-reload")
	h.Run(t, "systemctl", "start", "pam-cockpit-cert")
	step("started")
	h.logsIn("alice", "200", "")
	h.logsIn("nobody", "403", "does not belong to a user")
	step("logged in")
	if out := h.inside("stat", "-c", "%a", "/etc/sssd/sssd.conf"); !strings.HasSuffix(out, "0") {
		t.Errorf("everybody may read the secret: mode %s", out)
	}
	h.Run(t, "podman", "healthcheck", "run", "pam-cockpit-cert")
	h.inside("runuser", "-u", "alice", "--", "touch", "/home/alice/kept")
	served := h.served()

	first := h.id()
	h.Run(t, "podman", "kill", "--signal=KILL", "pam-cockpit-cert")
	h.until("new container after the first was killed", func() bool {
		state, _ := h.Try(t, "systemctl", "is-active", "pam-cockpit-cert")
		id := h.id()
		return state == "active\n" && id != "" && id != first
	})
	step("killed and started again")
	h.logsIn("alice", "200", "")

	h.Run(t, "podman", "tag", next, released)
	h.Run(t, "systemctl", "restart", "pam-cockpit-cert")
	step("updated")
	if got := h.Run(t, "podman", "inspect", "--format", `{{index .Config.Labels "update"}}`, "pam-cockpit-cert"); got != "next\n" {
		t.Errorf("the container is not of the new image: %q", got)
	}
	h.logsIn("alice", "200", "")
	if got := h.served(); got != served {
		t.Error("the web server has another certificate after the update")
	}
	if out := h.inside("stat", "-c", "%U", "/home/alice/kept"); out != "alice" {
		t.Errorf("alice's file after the update is %s's", out)
	}
}

// ldapUnit returns the unit for a plain LDAP domain, with the administrator's own
// cockpit.conf.
func ldapUnit(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, unitFile))
	if err != nil {
		t.Fatal(err)
	}
	unit := regexp.MustCompile(`(?m)^.*(-keytab|krb5\.conf:).*\n`).ReplaceAllString(string(text), "")
	unit = strings.Replace(unit, "\n#Volume=", "\nVolume=", 1)
	return strings.Replace(unit, "HealthTimeout=30s", "HealthTimeout=5m", 1)
}

// give puts the image, and another for its next release, into podman's storage on a
// machine. As one layer: an overlay cannot have the files of layers that delete others.
func (s storage) give(o *machine.Overlay) {
	s.t.Helper()
	to := storage{s.t, filepath.Join(s.dir, "podman")}
	s.t.Cleanup(to.unmount)
	squashed := s.buildah("from", "--pull-never", tag)
	s.buildah("commit", "--quiet", "--squash", "--format", "docker", squashed,
		"containers-storage:[overlay@"+to.dir+"/storage+"+to.dir+"/run]"+released)
	s.buildah("rm", squashed)
	changed := to.buildah("from", "--pull-never", released)
	to.buildah("config", "--label", "update=next", changed)
	to.buildah("commit", "--quiet", "--format", "docker", changed, next)
	to.buildah("rm", changed)
	run(s.t, "mkdir", "-p", o.Dir+"/var/lib/containers")
	run(s.t, "cp", "-a", to.dir+"/storage", o.Dir+"/var/lib/containers/storage")
}

// root returns the image's files.
func (s storage) root() string {
	s.t.Helper()
	_, root := s.container(tag)
	return root
}

// podman is a machine with podman.
type podman struct {
	*machine.Machine
	t *testing.T
}

// patientFor is how long anything may take in an emulated machine on a busy one.
const patientFor = 10 * time.Minute

func (p podman) until(what string, holds func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patientFor); !holds(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			p.t.Fatalf("after %v there is no %s", patientFor, what)
		}
	}
}

// inside runs a command in the container.
func (p podman) inside(command ...string) string {
	p.t.Helper()
	return strings.TrimSpace(p.Run(p.t, append([]string{"podman", "exec", "pam-cockpit-cert"}, command...)...))
}

// id returns the container's ID, or "" if none is running.
func (p podman) id() string {
	p.t.Helper()
	return strings.TrimSpace(p.Run(p.t, "podman", "ps", "--quiet", "--filter=name=pam-cockpit-cert"))
}

// logsIn expects this answer to a login with the certificate, as soon as SSSD has found
// the directory.
func (p podman) logsIn(name, status, says string) {
	p.t.Helper()
	var out string
	deadline := time.Now().Add(patientFor)
	for {
		out, _ = p.Try(p.t, "curl", "--silent", "--insecure", "--max-time", "300", "--write-out", "\n%{http_code}",
			"--cert", "/root/"+name+".pem", "--key", "/root/"+name+".key", "https://localhost:9090/cockpit/login")
		if strings.HasSuffix(out, "\n"+status) && strings.Contains(out, says) {
			return
		}
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(2 * time.Second)
	}
	p.t.Fatalf("%s's login: %s", name, out)
}

// served returns the web server's certificate.
func (p podman) served() string {
	p.t.Helper()
	return p.inside("sh", "-c", "sha256sum /etc/cockpit/ws-certs.d/*.cert")
}
