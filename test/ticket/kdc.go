// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package ticket tests cockpit-cert-ticket with MIT's KDC, in namespaces.
package ticket

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/namespace"
)

// realm is the KDC's realm; host is the host that has a keytab.
const (
	realm = "LAB.TEST"
	host  = "host1.lab.test"
)

// kdc is a real KDC, on the loopback network.
type kdc struct {
	dir     string
	port    int
	daemon  *exec.Cmd
	environ []string
}

// startKDC makes a realm with alice and this host, writes krb5.conf and the
// host's keytab, and serves it until the test ends.
func startKDC(t testing.TB) *kdc {
	t.Helper()
	namespace.Need(t)
	if _, err := exec.LookPath("/usr/sbin/krb5kdc"); err != nil {
		t.Skip("no KDC here: install krb5-kdc, krb5-user")
	}
	namespace.Copy(t, "/etc")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &kdc{dir: t.TempDir(), port: listener.Addr().(*net.TCPAddr).Port}
	listener.Close()
	// The KDC has a krb5.conf of its own, because tests change the host's.
	k.environ = append(os.Environ(), "KRB5_KDC_PROFILE="+k.dir+"/kdc.conf", "KRB5_CONFIG="+k.dir+"/krb5.conf")
	config := fmt.Sprintf(`[libdefaults]
default_realm = %[1]s
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
%[1]s = {
	kdc = 127.0.0.1:%[2]d
}
`, realm, k.port)
	write(t, "/etc/krb5.conf", config)
	write(t, k.dir+"/krb5.conf", config)
	write(t, k.dir+"/kdc.conf", fmt.Sprintf(`[kdcdefaults]
kdc_ports = %[2]d
kdc_tcp_ports = %[2]d
[realms]
%[1]s = {
	database_name = %[3]s/principal
	key_stash_file = %[3]s/stash
	acl_file = %[3]s/acl
}
[logging]
kdc = FILE:%[3]s/log
`, realm, k.port, k.dir))
	k.run(t, "/usr/sbin/kdb5_util", "create", "-s", "-r", realm, "-P", "secret")
	for _, command := range []string{
		"addprinc -randkey host/" + host, "ktadd host/" + host,
		"addprinc -pw secret alice", `addprinc -pw secret "gina smith"`,
		"addprinc -pw secret root", "addprinc -randkey host/other.lab.test", "addprinc -pw secret -allow_tix disabled",
	} {
		k.admin(t, command)
	}
	k.start(t)
	return k
}

func (k *kdc) run(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Env = k.environ
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// admin runs a command of kadmin.local(8).
func (k *kdc) admin(t testing.TB, command string) {
	t.Helper()
	k.run(t, "/usr/sbin/kadmin.local", "-r", realm, "-q", command)
}

func (k *kdc) start(t testing.TB) {
	t.Helper()
	k.daemon = exec.Command("/usr/sbin/krb5kdc", "-n", "-r", realm)
	k.daemon.Env = k.environ
	if err := k.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	daemon := k.daemon
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
		if text, err := os.ReadFile(k.dir + "/log"); t.Failed() && err == nil {
			t.Logf("the KDC's log:\n%s", text)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", k.port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the KDC does not answer")
		}
	}
}

// stop ends the KDC, so that connections to it are refused.
func (k *kdc) stop() {
	_ = k.daemon.Process.Kill()
	_ = k.daemon.Wait()
}

// person makes an account. SSSD also finds a domain's user by NAME@REALM; here, with
// domain, the account has both names.
func person(t testing.TB, name string, uid int, domain bool) {
	t.Helper()
	line := fmt.Sprintf("%s:x:%d:%d::/nonexistent:/bin/sh\n", name, uid, uid)
	if domain {
		line += fmt.Sprintf("%s@%s:x:%d:%d::/nonexistent:/bin/sh\n", name, realm, uid, uid)
	}
	file, err := os.OpenFile("/etc/passwd", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(line); err != nil {
		t.Fatal(err)
	}
	runtimeDirectory(t, uid)
}

// runtimeDirectory makes the directory that pam_systemd would make at login.
func runtimeDirectory(t testing.TB, uid int) string {
	t.Helper()
	dir := fmt.Sprintf("/run/user/%d", uid)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listed returns the tickets of a cache, each as "CLIENT for SERVER", including
// configuration entries, for which klist needs an option; or "none" without a cache.
func listed(t testing.TB, file string) string {
	t.Helper()
	if st, err := os.Lstat(file); err != nil || !st.Mode().IsRegular() {
		return "none"
	}
	out, err := exec.Command("klist", "-C", "-c", "FILE:"+file).CombinedOutput()
	if err != nil {
		t.Fatalf("klist: %v: %s", err, out)
	}
	var client string
	var tickets []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		switch name, isClient := strings.CutPrefix(line, "Default principal: "); {
		case isClient:
			client = name
		case strings.HasPrefix(line, "for client "):
			// klist prints this if a ticket's client is not that of the cache.
			tickets[len(tickets)-1] = strings.TrimPrefix(line, "for client ") + " " + tickets[len(tickets)-1]
		case strings.HasPrefix(line, "config:"):
			tickets = append(tickets, line)
		case len(fields) == 5 && strings.Contains(fields[0], "/"):
			tickets = append(tickets, "for "+fields[4])
		}
	}
	return client + " " + strings.Join(tickets, ", ")
}
