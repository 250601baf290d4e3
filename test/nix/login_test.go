// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package nix

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/pki"
)

const (
	clients  = "/root/clients/"
	password = "correct horse"
	// authorities is where Nix would put the file of the option caFile.
	authorities = store + "client-ca.pem"
)

// server is the configuration.nix of the machine, without the line that turns the
// module on or off.
const server = `
	services.cockpit.enable = true;
	services.sssd.enable = true;
	services.sssd.settings = {
		sssd.domains = "local";
		"domain/local" = { id_provider = "proxy"; proxy_lib_name = "files"; auth_provider = "none"; };
		"certmap/local/alice".matchrule = "<SUBJECT>^CN=alice,O=Lab";
	};
	services.pam-cockpit-cert.debug = true;
	services.pam-cockpit-cert.caFile = "` + authorities + `";
	services.pam-cockpit-cert.package = `

// logsIn boots Debian with the files that the NixOS module makes, and with the package
// in this directory at its place in Nix's store.
func logsIn(t *testing.T, dir string) {
	configuration := server + `"` + storePath(t) + `"; services.pam-cockpit-cert.enable = `
	on, off := evaluate(t, configuration+"true;"), evaluate(t, configuration+"false;")
	if wrong := slices.Concat(on.Failures, on.Warnings); len(wrong) > 0 {
		t.Errorf("NixOS would refuse this: %q", wrong)
	}

	// The newest Cockpit, as NixOS has it.
	o := machine.NewOverlay(t, machine.Root(t, debian.Host("trixie", true)))
	o.Copy(t, dir, storePath(t))
	o.Build(t, "./tools/browser", "/usr/local/bin/browser")
	ca := pki.NewAuthority("Lab CA")
	o.Write(t, authorities, 0o644, ca.PEM())
	for _, name := range []string{"alice", "nobody"} {
		certificate := ca.Issue(name)
		o.Write(t, clients+name+".pem", 0o600, certificate.PEM())
		o.Write(t, clients+name+".key", 0o600, certificate.KeyPEM())
	}
	o.Run(t, "sh", "-euc", `useradd -m -s /bin/bash alice
		echo "alice:$1" | chpasswd
		systemctl -q enable cockpit.socket sssd.service`, "sh", password)
	h := host{o.Shell, withoutAuth(o.Run(t, "cat", "/etc/pam.d/cockpit"))}
	h.install(t, on)
	m := machine.Boot(t, o)
	h.Shell = m.Shell
	t.Log(m.Run(t, "dpkg-query", "-W", "cockpit-ws", "sssd-dbus"))

	t.Run("on", func(t *testing.T) {
		if got := m.Run(t, "systemctl", "show", "--property=DropInPaths", "system-cockpithttps.slice"); !strings.Contains(got, "10-pam_cockpit_cert.conf") {
			t.Errorf("systemd does not read the unit of the package: %s", got)
		}
		if out, err := m.Try(t, "pam-cockpit-cert", "status"); err != nil {
			t.Errorf("pam-cockpit-cert status: %v\n%s", err, out)
		}
		out, err := h.login(t, "id -un; cockpit-bridge --packages", "-cert", clients+"alice.pem")
		if err != nil || !strings.HasPrefix(out, "= in\nalice\n") {
			t.Errorf("alice's certificate: %v: %s\n%s", err, out, m.Run(t, "journalctl", "--no-pager", "--lines=40"))
		}
		if !strings.Contains(out, "certlogin") {
			t.Errorf("Cockpit does not find the package's page:\n%s", out)
		}
		out, err = h.login(t, "id -un", "-cert", clients+"nobody.pem")
		if err == nil || !strings.Contains(out, "HTTP 403") || !strings.Contains(out, "The certificate does not belong to a user of this system.") {
			t.Errorf("a certificate that is nobody's: %v: %s", err, out)
		}
		h.password(t)
	})

	t.Run("off", func(t *testing.T) {
		m.Sh(t, "systemctl stop cockpit.service 'cockpit-wsinstance-*' system-cockpithttps.slice")
		h.remove(t, on)
		h.install(t, off)
		m.Sh(t, "systemctl daemon-reload; systemctl restart cockpit.socket")
		if out, err := h.login(t, "id -un", "-cert", clients+"alice.pem"); err == nil || !strings.Contains(out, "HTTP 401") {
			t.Errorf("a certificate logs in: %v: %s", err, out)
		}
		h.password(t)
		m.Sh(t, "! test -e /run/cockpit/tls/clients || ! ls -A /run/cockpit/tls/clients | grep .")
	})
}

// host is the machine, booted or not.
type host struct {
	machine.Shell
	pam string // the stacks of Debian's service, without auth
}

// withoutAuth returns a PAM service of Debian without its auth stack.
func withoutAuth(service string) string {
	var rest strings.Builder
	for line := range strings.Lines(service) {
		if !strings.HasPrefix(line, "auth") && !strings.HasPrefix(line, "@include common-auth") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// files maps the path of each file that NixOS would have written to its text. What
// cannot be as in NixOS: standin.nix has only auth rules, to which Debian's other stacks
// are added, and SSSD reads its settings where Debian has them.
func (h host) files(e evaluation) map[string]string {
	return map[string]string{
		"/etc/pam.d/cockpit":        e.Pam + h.pam,
		"/etc/cockpit/cockpit.conf": ini(e.Cockpit),
		"/etc/sssd/sssd.conf":       ini(e.Sssd),
	}
}

// links maps each link that NixOS would have made to its target. For the directories of
// /run/current-system/sw, which are on NixOS's search paths, there is /usr/local.
func (h host) links(t *testing.T, e evaluation) map[string]string {
	t.Helper()
	links := map[string]string{}
	for _, file := range e.Etc {
		name, source, _ := strings.Cut(file, " ")
		links["/etc/"+name] = source
	}
	below := func(dir, to string) {
		for _, name := range strings.Fields(h.Run(t, "ls", dir)) {
			links[path.Join(to, name)] = path.Join(dir, name)
		}
	}
	for _, pkg := range e.Units {
		below(pkg+"/lib/systemd/system", "/etc/systemd/system")
	}
	for _, pkg := range e.Programs {
		// /bin is on NixOS's own list.
		for _, dir := range append([]string{"/bin"}, e.Links...) {
			below(pkg+dir, "/usr/local"+dir)
		}
	}
	return links
}

// install puts the module's files where NixOS would have them.
func (h host) install(t *testing.T, e evaluation) {
	t.Helper()
	for name, text := range h.files(e) {
		h.Write(t, name, 0o600, []byte(text))
	}
	h.Run(t, "chmod", "644", "/etc/cockpit/cockpit.conf")
	for name, target := range h.links(t, e) {
		h.Run(t, "sh", "-euc", `mkdir -p "$(dirname "$1")"; ln -s "$2" "$1"`, "sh", name, target)
	}
}

// remove takes the links away again.
func (h host) remove(t *testing.T, e evaluation) {
	t.Helper()
	for name := range h.links(t, e) {
		h.Run(t, "rm", name)
	}
}

// ini returns settings in the format of Cockpit and SSSD.
func ini(settings map[string]map[string]any) string {
	var text strings.Builder
	for _, section := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "[%s]\n", section)
		for _, key := range slices.Sorted(maps.Keys(settings[section])) {
			fmt.Fprintf(&text, "%s=%v\n", key, settings[section][key])
		}
	}
	return text.String()
}

// login logs in with tools/browser and its options, and runs a command in the session.
func (h host) login(t *testing.T, command string, options ...string) (string, error) {
	t.Helper()
	return h.Try(t, append([]string{"sh", "-euc", `command=$1; shift; echo "$command" | browser "$@"`, "sh", command}, options...)...)
}

// password checks that passwords work as without the module.
func (h host) password(t *testing.T) {
	t.Helper()
	if out, err := h.login(t, "id -un", "-user", "alice:"+password); err != nil || !strings.HasPrefix(out, "= in\nalice\n") {
		t.Errorf("alice's password: %v: %s", err, out)
	}
	if out, err := h.login(t, "id -un", "-user", "alice:wrong"); err == nil || !strings.Contains(out, "HTTP 401") {
		t.Errorf("a wrong password: %v: %s", err, out)
	}
}
