// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

// Package container builds the container image and logs in to a container of it.
//
// buildah builds the image, like `make container`. podman cannot run on every build
// machine; systemd-nspawn stands in for it, with only the capabilities that the
// Quadlet unit has.
package container

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pki"
)

func TestMain(m *testing.M) { machine.Main(m) }

func itoa(n int) string { return strconv.Itoa(n) }

// TestTheImage builds the image once, and runs all tests of it.
func TestTheImage(t *testing.T) {
	namespace.Need(t)
	for _, tool := range []string{"buildah", "systemd-nspawn", "slapd", "curl", "git", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: see `make check-systems`", tool)
		}
	}
	s := newStorage(t)
	s.build()
	t.Run("says what it is and how to run it", func(t *testing.T) { describes(t, storage{t, s.dir}) })
	t.Run("holds what it runs and nothing else", func(t *testing.T) { holds(t, storage{t, s.dir}) })
	t.Run("logs in by certificate and keeps its state", func(t *testing.T) { logsIn(t, storage{t, s.dir}) })
	t.Run("runs as the Quadlet unit", func(t *testing.T) { runsAsUnit(t, storage{t, s.dir}) })
	t.Run("says in its log that it cannot work", func(t *testing.T) { complains(t, storage{t, s.dir}) })
	t.Run("goes into another image with two lines", func(t *testing.T) { goesInto(t, storage{t, s.dir}) })
	t.Run("prepares a host's service file", func(t *testing.T) { prepares(t, storage{t, s.dir}) })
}

func describes(t *testing.T, s storage) {
	c := s.inspect().Docker.Config
	for _, label := range []string{"title", "description", "licenses", "version", "revision", "base.name"} {
		if v := c.Labels["org.opencontainers.image."+label]; v == "" || v == "unknown" {
			t.Errorf("label %s is %q", label, v)
		}
	}
	if got := c.Labels["org.opencontainers.image.base.name"]; got != base {
		t.Errorf("the image says that its base is %s, which is %s", got, base)
	}
	for _, volume := range []string{"/var/lib/sss", "/etc/cockpit/ws-certs.d", "/home"} {
		if _, ok := c.Volumes[volume]; !ok {
			t.Errorf("%s is no volume", volume)
		}
	}
	if _, ok := c.ExposedPorts["9090"]; !ok {
		if _, ok := c.ExposedPorts["9090/tcp"]; !ok {
			t.Errorf("ports %v, want 9090", c.ExposedPorts)
		}
	}
	// box_test.go gives systemd-nspawn the same options.
	if c.StopSignal != "SIGRTMIN+3" || !slices.Equal(c.Cmd, []string{"/sbin/init"}) {
		t.Errorf("command %q, stop signal %q", c.Cmd, c.StopSignal)
	}
	if want := []string{"CMD", "/usr/sbin/pam-cockpit-cert", "status"}; !slices.Equal(c.Healthcheck.Test, want) {
		t.Errorf("health check %q, want %q", c.Healthcheck.Test, want)
	}
}

func holds(t *testing.T, s storage) {
	_, root := s.container(tag)
	t.Logf("size: %s (the base: %s)", s.size(tag), s.size(base))

	for _, pattern := range []string{
		"/usr/sbin/sshd", "/usr/bin/gcc*", "/usr/bin/make", "/usr/bin/go", "/usr/lib/go*", "/usr/include/*", "/src", "/out", "/root/go", "/root/.cache",
		"/var/lib/apt/lists/*", "/var/cache/apt/*", "/var/log/apt", "/var/log/dpkg.log", "/tmp/*", "/var/tmp/*",
		"/var/lib/dbus/machine-id", "/etc/cockpit/ws-certs.d/*", "/etc/ssh/ssh_host_*", "/var/lib/sss/db/*", "/etc/sssd/sssd.conf", "/etc/krb5.keytab",
	} {
		left, err := filepath.Glob(root + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			t.Errorf("%s is in the image", strings.TrimPrefix(path, root))
		}
	}
	if id, err := os.ReadFile(root + "/etc/machine-id"); err != nil || len(id) != 0 {
		t.Errorf("every container would be machine %q (%v)", id, err)
	}

	// Services that do not run as root may read what the source adds.
	for _, path := range []string{"/usr", "/usr/lib", "/usr/lib/systemd/system", "/etc", "/etc/locale.conf", "/usr/share/pam_cockpit_cert/pam.d/rule"} {
		info, err := os.Stat(root + path)
		if err != nil || info.Mode()&0o444 != 0o444 || info.IsDir() && info.Mode()&0o111 != 0o111 {
			t.Errorf("%s: %v, %v: only root can read it", path, info, err)
		}
	}

	// No local account has a password.
	shadow, err := os.ReadFile(root + "/etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(shadow)) {
		if fields := strings.Split(line, ":"); !strings.HasPrefix(fields[1], "*") && !strings.HasPrefix(fields[1], "!") {
			t.Errorf("%s can log in with a password", fields[0])
		}
	}

	// The set-user-ID programs are D-Bus's, which starts services, and PAM's, which
	// checks passwords. A program with more capabilities than the container has
	// would not start.
	var special []string
	granted := capabilitySet(t, unit(t).capabilities())
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().IsRegular() && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			special = append(special, strings.TrimPrefix(path, root))
		}
		if more := fileCapabilities(path) &^ granted; err == nil && info.Mode().IsRegular() && more != 0 {
			t.Errorf("%s has capabilities that the container has not: %x", strings.TrimPrefix(path, root), more)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/usr/lib/dbus-1.0/dbus-daemon-launch-helper", "/usr/sbin/unix_chkpwd"}; !slices.Equal(special, want) {
		t.Errorf("setuid and setgid: %q, want %q", special, want)
	}

	// The module of this name that dpkg knows is cockpit-ws's, which is diverted.
	if _, err := os.Stat(module(t, root) + ".cockpit-ws"); err != nil {
		t.Errorf("an update of cockpit-ws would replace the module: %v", err)
	}
	service, err := os.ReadFile(root + "/etc/pam.d/cockpit")
	if err != nil {
		t.Fatal(err)
	}
	// Not every kernel refuses what this line prevents; see the Containerfile.
	if !regexp.MustCompile(`(?m)^session\s+optional\s+pam_loginuid\.so`).Match(service) {
		t.Error("a container that was started from a login would refuse every session")
	}
	if rule := firstRule(t, root); rule != theRule(t) {
		t.Errorf("the first auth rule is %q, want %q", rule, theRule(t))
	}
}

func (s storage) size(image string) string {
	s.t.Helper()
	return s.buildah("images", "--format", "{{.Size}}", image)
}

// volumes makes new named volumes, which podman would fill from the image.
func volumes(t *testing.T, root string) []mount {
	t.Helper()
	dir := t.TempDir()
	var m []mount
	for i, target := range []string{"/var/lib/sss", "/etc/cockpit/ws-certs.d", "/home"} {
		source := filepath.Join(dir, itoa(i))
		run(t, "cp", "-a", root+target, source)
		m = append(m, mount{source, target, "rw"})
	}
	return m
}

func logsIn(t *testing.T, s storage) {
	authority, stranger := pki.NewAuthority("CA"), pki.NewAuthority("Stranger")
	alice, nobody, forged := authority.Issue("alice"), authority.Issue("nobody"), stranger.Issue("alice")
	ldap := newDirectory(t, authority, alice.DER)

	config := t.TempDir()
	mounts := []mount{
		{write(t, config+"/sssd.conf", sssdConf(t)), "/etc/sssd/sssd.conf", "ro"},
		{write(t, config+"/client-ca.pem", string(authority.PEM())), "/etc/sssd/pki/sssd_auth_ca_db.pem", "ro"},
	}
	for name, c := range map[string]pki.Certificate{"alice": alice, "nobody": nobody, "forged": forged} {
		write(t, config+"/"+name+".pem", string(c.PEM())+string(c.KeyPEM()))
	}
	// login returns the HTTP status and body of a login from outside.
	login := func(b *box, certificate string) (string, string) {
		t.Helper()
		out, err := b.outsideCommand("curl", "--silent", "--show-error", "--insecure", "--max-time", "60",
			"--cert", config+"/"+certificate+".pem", "--write-out", "\n%{http_code}", "https://"+inside+":9090/cockpit/login").CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		text := string(out)
		at := strings.LastIndex(text, "\n")
		return text[at+1:], text[:at]
	}
	served := func(b *box) string {
		t.Helper()
		out, err := b.outsideCommand("openssl", "s_client", "-connect", inside+":9090").CombinedOutput()
		found := regexp.MustCompile(`(?s)-----BEGIN.*?-----END CERTIFICATE-----`).FindString(string(out))
		if found == "" {
			t.Fatalf("no certificate from the web server: %v: %s", err, out)
		}
		return found
	}
	asAlice := func(b *box) {
		t.Helper()
		if status, body := login(b, "alice"); status != "200" {
			t.Fatalf("alice's login: %s %s", status, body)
		}
		want := "certificate " + alice.Fingerprint() + " is user alice's"
		b.until("alice's login in the log", func() bool { return strings.Contains(b.log(), want) })
		b.until("alice's session", func() bool {
			out, _ := b.output("loginctl", "list-users", "--no-legend")
			return regexp.MustCompile(`\balice\b`).MatchString(out)
		})
	}

	_, root := s.container(tag)
	ldap.known(t, root)
	mounts = append(mounts, volumes(t, root)...)
	b := start(t, root, mounts...)
	ldap.serve(t, b)

	// The README's statements about privileges.
	out, err := b.output("sh", "-c", "grep CapBnd /proc/1/status | cut -f 2")
	if want := mask(t, unit(t).capabilities()); err != nil || out != want {
		t.Errorf("the container has the capabilities %s (%v), want %s", out, err, want)
	}
	if out, err := b.output("systemctl", "--failed", "--plain", "--no-legend"); err != nil || out != "" {
		t.Errorf("failed units: %s (%v)", out, err)
	}

	asAlice(b)
	// People should notice the first error of a log in which all was well.
	for _, message := range b.errors() {
		t.Errorf("an error in the log of a container that works: %s", message)
	}
	for unit, want := range map[string]string{
		"cockpit.service": "cockpit-systemd-service 1",
		"cockpit-wsinstance-https@" + alice.Fingerprint() + ".service": "cockpit-wsinstance 1",
	} {
		out, err := b.output("sh", "-c", `p=/proc/$(systemctl show --property MainPID --value `+unit+`) &&
			echo "$(stat -c %U $p) $(sed -n 's/^NoNewPrivs:\t//p' $p/status)"`)
		if err != nil || out != want {
			t.Errorf("%s runs as %q (%v), want %q: the user, and no_new_privs", unit, out, err, want)
		}
	}
	if status, body := login(b, "nobody"); status != "403" || !strings.Contains(body, "does not belong to a user") {
		t.Errorf("a certificate that is nobody's: %s %s", status, body)
	}
	if status, body := login(b, "forged"); status != "403" {
		t.Errorf("a certificate by a strange authority: %s %s", status, body)
	}
	if out, err := b.output("pam-cockpit-cert", "status"); err != nil {
		t.Errorf("pam-cockpit-cert status: %v\n%s", err, out)
	}
	before, id := served(b), machineID(t, b)
	if out, err := b.output("runuser", "-u", "alice", "--", "touch", "/home/alice/kept"); err != nil {
		t.Errorf("alice has no home: %v %s", err, out)
	}
	b.stop()

	// `podman restart`: the same container.
	again := start(t, root, mounts...)
	ldap.serve(t, again)
	asAlice(again)
	again.stop()

	// An update: a new container with the volumes of the old one.
	_, root = s.container(tag)
	ldap.known(t, root)
	updated := start(t, root, mounts...)
	ldap.serve(t, updated)
	asAlice(updated)
	if served(updated) != before {
		t.Error("the web server has another certificate after the update")
	}
	if theirs := machineID(t, updated); theirs == id || len(id) != 32 {
		t.Errorf("the machine's identity was %q, and is %q in a new container", id, theirs)
	}
	if out, err := updated.output("stat", "-c", "%U", "/home/alice/kept"); err != nil || out != "alice" {
		t.Errorf("alice's file after the update: %s (%v)", out, err)
	}
}

// errors returns the messages of errors in the journal, but for two of SSSD's about
// systemd-nspawn, which forbids keyctl(2) and gives inheritable capabilities.
func (b *box) errors() (messages []string) {
	b.t.Helper()
	out, err := b.output("sh", "-c", "journalctl --sync && journalctl --quiet --no-pager --priority=err --output=json")
	if err != nil {
		b.t.Fatalf("reading the journal: %v: %s", err, out)
	}
	for decoder := json.NewDecoder(strings.NewReader(out)); ; {
		var entry struct {
			Program string `json:"SYSLOG_IDENTIFIER"`
			Message string `json:"MESSAGE"`
		}
		if err := decoder.Decode(&entry); errors.Is(err, io.EOF) {
			return messages
		} else if err != nil {
			b.t.Fatalf("reading the journal: %v: %s", err, out)
		}
		if entry.Program != "sssd" || !strings.Contains(entry.Message, "private keyring") && !strings.Contains(entry.Message, "capabilities aren't needed") {
			messages = append(messages, entry.Program+": "+entry.Message)
		}
	}
}

func machineID(t *testing.T, b *box) string {
	t.Helper()
	id, err := b.output("cat", "/etc/machine-id")
	if err != nil {
		t.Error(err)
	}
	return id
}

// complains starts a container without a domain, whose log has to say so.
func complains(t *testing.T, s storage) {
	_, root := s.container(tag)
	b := start(t, root, volumes(t, root)...)
	if out, err := b.output("systemctl", "--failed", "--plain", "--no-legend"); err != nil || !strings.Contains(out, "pam-cockpit-cert-status.service") {
		t.Errorf("failed units: %q (%v), want pam-cockpit-cert-status.service among them", out, err)
	}
	b.until("a complaint in the log", func() bool {
		return regexp.MustCompile(`pam-cockpit-cert\[\d+\]: .*[Ss][Ss][Ss][Dd]`).MatchString(b.log())
	})
	if out, err := b.output("pam-cockpit-cert", "status"); err == nil {
		t.Errorf("the health check is content: %s", out)
	}
}

// goesInto builds an image with the two lines of the README.
func goesInto(t *testing.T, s storage) {
	const files, own = "localhost/pam-cockpit-cert-files", "localhost/own"
	s.make(files, "--target files")
	readme, err := os.ReadFile(filepath.Join(top, "container", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^    COPY --from=` + files + ` .*\n    RUN .*\n`).FindString(string(readme))
	if lines == "" {
		t.Fatal("no two lines in the README")
	}
	dir := t.TempDir()
	write(t, dir+"/Containerfile", "FROM "+base+"\n"+
		"RUN apt-get -qq update && apt-get -qq install -y --no-install-recommends cockpit-ws sssd-dbus\n"+lines)
	s.buildah("build", "--isolation", "chroot", "--pull-never", "--tag", own, dir)
	name, root := s.container(own)
	module(t, root)
	if rule := firstRule(t, root); rule != theRule(t) {
		t.Errorf("the first auth rule is %q, want %q", rule, theRule(t))
	}
	conf, err := os.ReadFile(root + "/etc/cockpit/cockpit.conf")
	if err != nil || !regexp.MustCompile(`(?im)^ClientCertAuthentication *= *(true|yes)$`).Match(conf) {
		t.Errorf("cockpit.conf is %q (%v)", conf, err)
	}
	if out := s.buildah("run", "--isolation", "chroot", name, "--", "pam-cockpit-cert", "enable"); !strings.Contains(out, "nothing to do") {
		t.Errorf("pam-cockpit-cert enable, again: %s", out)
	}
}

// module returns the path of this module; cockpit-ws has a module of the same name
// that does nothing.
func module(t *testing.T, root string) string {
	t.Helper()
	found, err := filepath.Glob(root + "/usr/lib/*/security/pam_cockpit_cert.so")
	if err != nil || len(found) != 1 {
		t.Fatalf("the module is at %q (%v)", found, err)
	}
	built, err := os.ReadFile(found[0])
	if err != nil || !strings.Contains(string(built), "org.freedesktop.sssd.infopipe") {
		t.Errorf("%s is not our module (%v)", found[0], err)
	}
	return found[0]
}

// theRule returns the rule that every package installs.
func theRule(t *testing.T) string {
	t.Helper()
	rule, err := os.ReadFile(filepath.Join(top, "pam.d", "rule"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(rule))
}

func firstRule(t *testing.T, root string) string {
	t.Helper()
	service, err := os.ReadFile(root + "/etc/pam.d/cockpit")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^-?auth\s.*$`).FindString(string(service))
}

// prepares runs the commands of the image's labels on the root of a host.
func prepares(t *testing.T, s storage) {
	name, root := s.container(tag)
	service, err := os.ReadFile(root + "/etc/pam.d/cockpit")
	if err != nil {
		t.Fatal(err)
	}
	// The host's service file: the image's without the rule.
	pristine := regexp.MustCompile(`(?m)^-auth.*pam_cockpit_cert.*\n`).ReplaceAllString(string(service), "")
	host := t.TempDir()
	path := write(t, host+"/etc/pam.d/cockpit", pristine)

	labels := s.inspect().Docker.Config.Labels
	perform := func(label string) string {
		t.Helper()
		// Only the command after the image's name is run; the rest is for podman.
		_, command, ok := strings.Cut(labels[label], " IMAGE ")
		if !ok || !strings.Contains(labels[label], "--entrypoint /usr/sbin/pam-cockpit-cert ") || !strings.Contains(labels[label], " -v /:/host ") {
			t.Fatalf("label %s: %q", label, labels[label])
		}
		args := []string{"run", "--isolation", "chroot", "--volume", host + ":/host", name, "--", "/usr/sbin/pam-cockpit-cert"}
		s.buildah(append(args, strings.Fields(command)...)...)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := perform("install"); got != string(service) {
		t.Errorf("after install, the host's file is\n%s", got)
	}
	if got := perform("uninstall"); got != pristine {
		t.Errorf("after uninstall, the host's file is\n%s", got)
	}
}
