// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package container

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/namespace"
)

// TestTheQuadletUnit checks the unit with podman's own generator, which rejects, or
// warns of, what it does not understand.
func TestTheQuadletUnit(t *testing.T) {
	namespace.Need(t)
	o := machine.NewOverlay(t, machine.Root(t, machine.Recipe{Suite: "trixie", Packages: []string{"podman"}}))
	text, err := os.ReadFile(filepath.Join(top, unitFile))
	if err != nil {
		t.Fatal(err)
	}
	o.Write(t, "/etc/containers/systemd/"+filepath.Base(unitFile), 0o644, text)
	// The settings that the unit has commented out work, too.
	more := regexp.MustCompile(`(?m)^#(\w+=)`).ReplaceAllString(string(text), "$1")
	more = strings.Replace(more, "ContainerName=", "ContainerName=more-", 1)
	o.Write(t, "/etc/containers/systemd/more.container", 0o644, []byte(more))

	out := o.Sh(t, "/usr/libexec/podman/quadlet -dryrun 2>&1")
	if problem := regexp.MustCompile(`(?mi)^.*(unsupported|error|warn|invalid|convert|unknown).*$`).FindString(out); problem != "" {
		t.Errorf("quadlet: %s", problem)
	}
	_, service, found := strings.Cut(out, "---pam-cockpit-cert.service---")
	if !found {
		t.Fatalf("quadlet makes no service:\n%s", out)
	}
	service, _, _ = strings.Cut(service, "\n---")
	start := regexp.MustCompile(`(?m)^ExecStart=.*$`).FindString(service)
	if start == "" {
		t.Fatalf("the service starts nothing:\n%s", service)
	}
	q := unit(t)
	for _, want := range []string{
		"--cap-drop all", "--cap-add " + strings.ToLower(q.capabilities()[0]), "--systemd=always", "--cgroupns=private", "--tty",
		"--sdnotify=container", "--log-driver journald", "--publish 9090:9090", "--health-cmd",
		"--secret pam-cockpit-cert-sssd.conf,type=mount,target=/etc/sssd/sssd.conf,mode=0600",
		"-v pam-cockpit-cert-sss:/var/lib/sss", q["Image"][0],
	} {
		if !strings.Contains(start, want) {
			t.Errorf("no %s in %s", want, start)
		}
	}
	if !regexp.MustCompile(`(?m)^Type=notify$`).MatchString(service) || strings.Contains(start, "--privileged") {
		t.Errorf("the service is\n%s", service)
	}
}

// TestTheReadmeRunsItAsTheUnitDoes compares the README's command line for a first try
// with the unit.
func TestTheReadmeRunsItAsTheUnitDoes(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(top, "container", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?s)podman run -dt .*?\n\n`).FindString(string(readme))
	added := regexp.MustCompile(`--cap-drop all \\\s+--cap-add ([A-Z_,]+)`).FindStringSubmatch(command)
	if added == nil {
		t.Fatalf("the README's command adds no capabilities to none: %s", command)
	}
	var names []string
	for _, name := range strings.Split(added[1], ",") {
		names = append(names, "CAP_"+name)
	}
	if q := unit(t); mask(t, names) != mask(t, q.capabilities()) {
		t.Errorf("the README gives %s, the unit %s", names, q.capabilities())
	}
	for _, mount := range []string{"/etc/sssd/sssd.conf", "/etc/sssd/pki/sssd_auth_ca_db.pem", "/var/lib/sss", "/etc/cockpit/ws-certs.d", "/home"} {
		if !strings.Contains(command, mount) {
			t.Errorf("the README's command mounts no %s", mount)
		}
	}
	// The image's label is the same command.
	containerfile, err := os.ReadFile(filepath.Join(top, "container", "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	label := regexp.MustCompile(`\brun="(podman run [^"]*)"`).FindStringSubmatch(string(containerfile))
	if label == nil {
		t.Fatal("the image has no label run")
	}
	typed := strings.Join(strings.Fields(strings.ReplaceAll(command, "\\\n", " ")), " ")
	if want := strings.NewReplacer("--name NAME", "--name pam-cockpit-cert", "IMAGE", "localhost/pam-cockpit-cert").Replace(label[1]); typed != want {
		t.Errorf("the README runs\n%s\nand the label\n%s", typed, want)
	}
	if !strings.Contains(command, " --hostname ") {
		t.Error("without --hostname the web server's certificate would name a container's ID")
	}
	// Each capability is explained.
	for _, name := range unit(t).capabilities() {
		if !strings.Contains(string(readme), "`"+strings.TrimPrefix(name, "CAP_")+"`") {
			t.Errorf("the README does not say what %s is for", name)
		}
	}
}

// quadlet is the section [Container] of the unit that runs the image.
type quadlet map[string][]string

const unitFile = "container/pam-cockpit-cert.container"

func unit(t testing.TB) quadlet {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, unitFile))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "[Container]\n")
	if !found {
		t.Fatalf("%s has no [Container]", unitFile)
	}
	section, _, _ = strings.Cut(section, "\n[")
	q := quadlet{}
	for line := range strings.Lines(section) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			q[key] = append(q[key], value)
		}
	}
	return q
}

// capabilities returns the container's capabilities.
func (q quadlet) capabilities() []string {
	var names []string
	if !slices.Contains(q["DropCapability"], "all") {
		names = slices.Clone(podmans)
	}
	for _, line := range q["AddCapability"] {
		names = append(names, strings.Fields(line)...)
	}
	return names
}

// podmans are podman's default capabilities.
var podmans = strings.Fields("CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_NET_BIND_SERVICE " +
	"CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT")

// known are all capabilities, in the order of their numbers.
var known = strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID
	CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW
	CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN
	CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE
	CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND
	CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)

// others returns the capabilities that systemd-nspawn has to be told to drop.
func others(names []string) []string {
	return slices.DeleteFunc(slices.Clone(known), func(c string) bool { return slices.Contains(names, c) })
}

// capabilitySet returns a set with a bit for each capability.
func capabilitySet(t testing.TB, names []string) uint64 {
	t.Helper()
	var set uint64
	for _, name := range names {
		number := slices.Index(known, name)
		if number < 0 {
			t.Fatalf("no such capability: %s", name)
		}
		set |= 1 << number
	}
	return set
}

// mask returns such a set in the form of /proc.
func mask(t testing.TB, names []string) string {
	t.Helper()
	return fmt.Sprintf("%016x", capabilitySet(t, names))
}

// fileCapabilities returns the capabilities that a program gets from its file: the
// kernel's struct vfs_cap_data.
func fileCapabilities(path string) uint64 {
	var data [24]byte
	n, err := unix.Lgetxattr(path, "security.capability", data[:])
	if err != nil || n < 20 {
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(data[4:])) | uint64(binary.LittleEndian.Uint32(data[12:]))<<32
}
