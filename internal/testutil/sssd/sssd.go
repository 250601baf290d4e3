// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package sssd runs a real D-Bus daemon and a real SSSD, without systemd, in a
// test's private namespaces: ready in a fraction of a second.
package sssd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/testutil/namespace"
)

// SSSD's directories and name.
const (
	Config    = "/etc/sssd/sssd.conf"
	Authority = "/etc/sssd/pki/sssd_auth_ca_db.pem"

	InfoPipe = "org.freedesktop.sssd.infopipe" // its name on the bus
)

// SSSD is an SSSD that is running, or is ready to be started.
type SSSD struct {
	t       testing.TB
	daemons []*daemon
	broker  bool // the bus is dbus-broker(1)
}

type daemon struct {
	command *exec.Cmd
	output  string // a file: a pipe would have to be read until SSSD's last child has ended
	done    chan struct{}
}

// New prepares empty directories for SSSD, and a copy of /etc for users. ca is the
// PEM of the authorities to trust.
func New(t testing.TB, ca []byte) *SSSD {
	t.Helper()
	namespace.Need(t)
	for _, program := range []string{"dbus-daemon", "/usr/sbin/sssd", "/usr/libexec/sssd/sssd_ifp"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here: install dbus-daemon, sssd-common, sssd-dbus", program)
		}
	}
	namespace.Copy(t, "/etc")
	script := `
		rm -rf /etc/sssd
		mkdir -p /etc/sssd/pki /etc/sssd/conf.d /run/dbus
		chmod 711 /etc/sssd
		for d in /var/lib/sss /var/log/sssd; do mount -t tmpfs -o mode=755 tmpfs $d; done
		cd /var/lib/sss
		mkdir -p db mc pipes/private pubconf/krb5.include.d gpo_cache secrets keytabs deskprofile
		chmod 700 db secrets pipes/private`
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("preparing SSSD's directories: %v: %s", err, out)
	}
	s := &SSSD{t: t}
	t.Cleanup(func() {
		s.Stop()
		for _, dir := range []string{"/var/lib/sss", "/var/log/sssd"} {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmounting %s: %v", dir, err)
			}
		}
		os.RemoveAll("/run/dbus")
	})
	s.Write(Authority, string(ca))
	return s
}

// AddUser makes a local account.
func (s *SSSD) AddUser(name string, uid int) {
	s.t.Helper()
	for path, line := range map[string]string{
		"/etc/passwd": fmt.Sprintf("%s:x:%d:%d:%s:/nonexistent:/bin/sh\n", name, uid, uid, name),
		"/etc/group":  fmt.Sprintf("%s:x:%d:\n", name, uid),
		"/etc/shadow": name + ":*:20000:0:99999:7:::\n",
	} {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := file.WriteString(line); err != nil {
			s.t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Write makes a file that only root may read, as sssd requires of its configuration.
func (s *SSSD) Write(path, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// LocalUsers returns the sssd.conf that the manual page pam_cockpit_cert(8), in this
// file, shows for local users: with the domain for an older SSSD, if this machine
// has one.
func LocalUsers(t testing.TB, manual string) string {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), ".Ss Local users")
	_, section, _ = strings.Cut(section, ".Bd -literal -offset indent\n")
	config, _, found := strings.Cut(section, ".Ed\n")
	domain := "[domain/local]\nid_provider = proxy\nproxy_lib_name = files\nlocal_auth_policy = only\nauth_provider = none\n"
	if !found || !strings.Contains(config, domain) {
		t.Fatalf("%s has no such example:\n%s", manual, config)
	}
	return strings.Replace(config, domain, LocalDomain(t, "local"), 1)
}

// LocalDomain returns the part of sssd.conf for a domain of the users in
// /etc/passwd, as the manual page shows it.
func LocalDomain(t testing.TB, domain string) string {
	t.Helper()
	if Before(t, "2.9.3") {
		return "[domain/" + domain + "]\nid_provider = files\n"
	}
	return "[domain/" + domain + "]\nid_provider = proxy\nproxy_lib_name = files\nlocal_auth_policy = only\nauth_provider = none\n"
}

// Mapping returns an sssd.conf with a domain of local users, called local, that maps a
// certificate to each of these users: that with the subject CN=name,O=Lab.
func Mapping(t testing.TB, names ...string) string {
	t.Helper()
	text := "[sssd]\nservices = nss, ifp\ndomains = local\n" + LocalDomain(t, "local")
	for _, name := range names {
		text += "[certmap/local/" + name + "]\nmatchrule = <SUBJECT>^CN=" + name + ",O=Lab$\n"
	}
	return text
}

// Before tells whether this machine's SSSD is older.
func Before(t testing.TB, version string) bool {
	t.Helper()
	out, err := exec.Command("/usr/sbin/sssd", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	sorted, err := exec.Command("sh", "-c", `printf '%s\n%s\n' "$0" "$1" | sort -V | head -n 1`,
		strings.TrimSpace(string(out)), version).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(sorted)) != version
}

// StartBus starts dbus-daemon(1), or dbus-broker(1), as the system's.
func (s *SSSD) StartBus() {
	s.t.Helper()
	os.Remove("/run/dbus/system_bus_socket")
	if s.broker {
		s.startBroker()
		return
	}
	s.start("dbus-daemon", "--system", "--nofork", "--nopidfile", "--address="+infopipe.SystemBus)
	// The socket exists a moment before the bus listens at it.
	s.until("the bus is there", func() bool {
		conn, err := net.Dial("unix", "/run/dbus/system_bus_socket")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// Start starts the bus and SSSD with this configuration, and waits until its
// InfoPipe answers.
func (s *SSSD) Start(config string) {
	s.t.Helper()
	s.StartWithoutInfoPipe(config)
	s.until("the InfoPipe is there", func() bool { return s.owner() != 0 })
}

// StartWithoutInfoPipe does not wait for the InfoPipe, which the configuration need
// not have.
func (s *SSSD) StartWithoutInfoPipe(config string) {
	s.t.Helper()
	s.Write(Config, config)
	s.StartBus()
	s.start("/usr/sbin/sssd", "-i", "--logger=stderr")
	s.until("SSSD answers libc", func() bool {
		_, pipe := os.Stat("/var/lib/sss/pipes/nss")
		return pipe == nil && cacheIsAlive()
	})
}

// cacheIsAlive tells whether SSSD's NSS module can map the cache of users. A program
// that looks up a user before that would map it later, in the middle of a
// measurement. The fourth number in the file is its status; 1 is
// SSS_MC_HEADER_ALIVE.
func cacheIsAlive() bool {
	header := make([]byte, 16)
	cache, err := os.Open("/var/lib/sss/mc/passwd")
	if err != nil {
		return false
	}
	defer cache.Close()
	_, err = io.ReadFull(cache, header)
	return err == nil && binary.NativeEndian.Uint32(header[12:]) == 1
}

// Stop kills SSSD and the bus: an SSSD that hangs would take long to end otherwise.
func (s *SSSD) Stop() {
	for i := len(s.daemons) - 1; i >= 0; i-- {
		_ = s.daemons[i].command.Process.Kill()
		<-s.daemons[i].done
	}
	s.killChildren()
	if s.t.Failed() {
		for _, d := range s.daemons {
			s.t.Logf("%s:\n%s", d.command, d.said())
		}
	}
	s.daemons = nil
}

// StopSSSD ends SSSD alone.
func (s *SSSD) StopSSSD() {
	s.t.Helper()
	last := s.daemons[len(s.daemons)-1]
	_ = last.command.Process.Kill()
	<-last.done
	s.daemons = s.daemons[:len(s.daemons)-1]
	s.killChildren()
	s.until("the InfoPipe is gone", func() bool { return s.owner() == 0 })
}

// killChildren kills the processes that SSSD's monitor, or the bus, started. This
// PID namespace has no other SSSD.
func (s *SSSD) killChildren() {
	processes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, exe := range processes {
		target, err := os.Readlink(exe)
		if err != nil || !strings.HasPrefix(target, "/usr/libexec/sssd/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(exe))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// SignalInfoPipe sends a signal to the process that owns InfoPipe's name.
func (s *SSSD) SignalInfoPipe(signal syscall.Signal) {
	s.t.Helper()
	pid := s.owner()
	if pid == 0 {
		s.t.Fatal("no InfoPipe")
	}
	if err := syscall.Kill(pid, signal); err != nil {
		s.t.Fatal(err)
	}
}

func (s *SSSD) start(name string, arguments ...string) {
	s.t.Helper()
	output, err := os.CreateTemp("/run", "output")
	if err != nil {
		s.t.Fatal(err)
	}
	defer output.Close()
	d := &daemon{command: exec.Command(name, arguments...), output: output.Name(), done: make(chan struct{})}
	d.command.Stdout, d.command.Stderr = output, output
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = d.command.Wait()
		close(d.done)
	}()
	s.daemons = append(s.daemons, d)
}

// said returns the end of what the daemon printed: a bus under attack prints a line
// for each message.
func (d *daemon) said() string {
	const most = 20_000
	text, err := os.ReadFile(d.output)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// owner returns the process that owns InfoPipe's name, or 0.
func (s *SSSD) owner() int {
	conn, err := dbus.Connect(infopipe.SystemBus)
	if err != nil {
		return 0
	}
	defer conn.Close()
	var pid uint32
	err = conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, InfoPipe).Store(&pid)
	var remote dbus.Error
	if err != nil && !errors.As(err, &remote) {
		s.t.Logf("asking for %s: %v", InfoPipe, err)
	}
	return int(pid)
}

func (s *SSSD) until(what string, condition func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, d := range s.daemons {
				s.t.Logf("%s:\n%s", d.command, d.said())
			}
			s.t.Fatalf("20 s later, and it is not so that %s", what)
		}
	}
}
