// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/oldkernel"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
	"pam_cockpit_cert/internal/testutil/strace"
)

// need is a permission that a login needs where Cockpit is confined.
type need struct{ source, target, class, permission string }

func (n need) String() string {
	return strings.Join([]string{n.source, n.target, n.class, n.permission}, " ")
}

// Types of Fedora's policy and the reference policy.
const (
	session = "cockpit_session_t" // cockpit-session, and so the module's processes
	ws      = "cockpit_ws_t"      // cockpit-ws, and so cockpit-cert-session
)

// started is what starts cockpit-session: cockpit-ws executes cockpit-cert-session,
// which executes cockpit-session, and ends it.
var started = []need{
	{ws, "bin_t", "file", "execute"},
	{ws, "bin_t", "file", "execute_no_trans"},
	{ws, session, "process", "transition"},
	{ws, session, "process", "sigkill"},
}

// Variables that make this binary another program.
const (
	peerVariable      = "PAM_COCKPIT_CERT_RPM_PEER"   // what connects to this socket
	oldKernelVariable = "PAM_COCKPIT_CERT_OLD_KERNEL" // the program of its arguments, as before Linux 6.5
)

// become is for TestMain.
func become() {
	if socket := os.Getenv(peerVariable); socket != "" {
		connection, err := net.Dial("unix", socket)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = io.Copy(io.Discard, connection)
		os.Exit(0)
	}
	if os.Getenv(oldKernelVariable) != "" {
		fmt.Fprintln(os.Stderr, oldkernel.Exec(os.Args[1:]))
		os.Exit(1)
	}
}

// needs returns what logins with a certificate need: those that strace sees, and what
// starts cockpit-session.
func needs(t *testing.T) []need {
	t.Helper()
	strace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(sssd.Mapping(t, "alice"))
	cockpittls.Export(t, cockpittls.From257, alice)
	namespace.ListenSyslog(t)
	pam := t.TempDir()
	pamhost.Service(t, pam, "cockpit", "auth required "+pamhost.Built(t, "pam_cockpit_cert.so")+" timeout=60\n")
	peer, connection := connected(t, cockpittls.NewInstance(t, alice.Fingerprint()))

	found := slices.Clone(started)
	host := []string{pamhost.Built(t, "test/pamhost"), "-d", pam}
	for _, program := range [][]string{host, append([]string{"env", oldKernelVariable + "=1", self(t)}, host...)} {
		traces := t.TempDir()
		report := pamhost.Host{
			Program: "strace",
			Args:    append([]string{"-ff", "-yy", "-s", "400", "-o", filepath.Join(traces, "trace")}, program...),
			Stdin:   connection,
			Noisy:   true,
		}.Run(t)
		if report.Get("result") != pamhost.Success || report.Get("user") != "alice" {
			t.Fatalf("the login whose needs are looked for: %v", report)
		}
		found = append(found, traced(t, traces, peer)...)
	}
	slices.SortFunc(found, func(a, b need) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(found)
}

// self returns the path of this binary.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// connected returns a cockpit-ws of the instance, by its number, and the end of its
// connection that cockpit-session has as standard input.
func connected(t *testing.T, instance cockpittls.Instance) (peer int, connection *os.File) {
	t.Helper()
	address := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	command := exec.Command(self(t))
	command.Env = append(os.Environ(), peerVariable+"="+address)
	command.Stderr = os.Stderr
	instance.Enter(command)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	if err := listener.(*net.UnixListener).SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	connection, err = accepted.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return command.Process.Pid, connection
}

// traced returns what the processes of a login need, from strace's files about each
// of their threads. peer is the process that connected.
func traced(t *testing.T, dir string, peer int) (found []need) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "trace.*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("traces of a login's three processes: %q, %v", files, err)
	}
	others := map[string]string{"1": "init_t", strconv.Itoa(peer): ws}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// What the login program does before it loads the module is not ours.
		trace := string(text)
		if _, ours, loads := strings.Cut(trace, "/pam_cockpit_cert.so\", "); loads {
			trace = ours
		}
		for line := range strings.Lines(trace) {
			found = append(found, ofCall(line)...)
			found = append(found, ofFile(line, others)...)
		}
	}
	return found
}

// calls maps system calls, as strace prints them, to what they need.
var calls = []struct {
	line   *regexp.Regexp
	needed []need
}{
	{regexp.MustCompile(`^(clone3?|v?fork)\(`), of(session, "process", "fork")},
	{regexp.MustCompile(`^prlimit64\(0, \w+, \{`), of(session, "process", "setrlimit")},
	{regexp.MustCompile(`^capget\(`), of(session, "process", "getcap")},
	{regexp.MustCompile(`^capset\(`), of(session, "process", "setcap")},
	{regexp.MustCompile(`^(kill|pidfd_send_signal)\(.*SIGKILL`), of(session, "process", "sigkill")},
	{regexp.MustCompile(`^sched_set(scheduler|attr|param)\(`), of(session, "process", "setsched")},
	{regexp.MustCompile(`^set(re|res|fs)?uid\(`), of(session, "capability", "setuid")},
	{regexp.MustCompile(`^set(re|res|fs)?gid\(`), of(session, "capability", "setgid")},
	{regexp.MustCompile(`^socket\(AF_NETLINK, [^,]*, NETLINK_SOCK_DIAG`), of(session, "netlink_tcpdiag_socket", "create")},
	// SOCK_DIAG_BY_FAMILY is 20, and the only question.
	{regexp.MustCompile(`^sendto\(\d+<NETLINK:[^>]*>, \[\{nlmsg_len=\d+, nlmsg_type=(0x14\b|SOCK_DIAG)`), of(session, "netlink_tcpdiag_socket", "write", "nlmsg_read")},
	{regexp.MustCompile(`^recvfrom\(\d+<NETLINK:\[SOCK_DIAG`), of(session, "netlink_tcpdiag_socket", "read")},
	{regexp.MustCompile(`^connect\(.*"/run/dbus/system_bus_socket"`), of("system_dbusd_t", "unix_stream_socket", "connectto")},
	// dbus-daemon itself asks the policy about messages.
	{regexp.MustCompile(`^write\(.*org\.freedesktop\.DBus\\0`), of("system_dbusd_t", "dbus", "send_msg")},
	{regexp.MustCompile(`^write\(.*org\.freedesktop\.sssd\.infopipe`), append(of("sssd_t", "dbus", "send_msg"), need{"sssd_t", session, "dbus", "send_msg"})},
}

// of returns what the module needs of a target.
func of(target, class string, permissions ...string) (needed []need) {
	for _, permission := range permissions {
		needed = append(needed, need{session, target, class, permission})
	}
	return needed
}

// kept matches the capabilities that the worker keeps, because it uses them.
var kept = regexp.MustCompile(`^capset\(.*\{effective=([^,]*),`)

// ofCall returns what a system call needs that has no path.
func ofCall(line string) (needed []need) {
	for _, call := range calls {
		if call.line.MatchString(line) {
			needed = append(needed, call.needed...)
		}
	}
	if match := kept.FindStringSubmatch(line); match != nil {
		for name := range strings.SplitSeq(match[1], "|") {
			if _, name, found := strings.Cut(name, "CAP_"); found {
				needed = append(needed, of(session, "capability", strings.ToLower(name))...)
			}
		}
	}
	return needed
}

var (
	// opened has the flags and the path of what was opened.
	opened = regexp.MustCompile(`^openat2?\(.*\b(O_RDONLY[A-Z_|]*).* = \d+<(/[^>]*)>\n$`)
	// followed has the directory of a link that was read, and whether it was only that.
	followed = regexp.MustCompile(`^(readlinkat|newfstatat)\(\d+<(/[^>]*)>, "[^"]`)
	// examined has the path of an open file.
	examined = regexp.MustCompile(`^fstat\(\d+<(/[^>]*)>`)
	process  = regexp.MustCompile(`^/proc/(\d+)(?:/|$)`)
)

// ofFile returns what a system call needs to use a file that not every login program
// uses: of another process, or a certificate. others maps processes to their types.
func ofFile(line string, others map[string]string) []need {
	typeOf := func(path string) string {
		if match := process.FindStringSubmatch(path); match != nil {
			return others[match[1]]
		}
		if strings.HasPrefix(path, "/run/cockpit/tls") {
			return "cockpit_runtime_t"
		}
		return ""
	}
	if match := opened.FindStringSubmatch(line); match != nil && typeOf(match[2]) != "" {
		target := typeOf(match[2])
		switch flags := strings.Split(match[1], "|"); {
		case slices.Contains(flags, "O_PATH"):
			return of(target, "dir", "search")
		case slices.Contains(flags, "O_DIRECTORY"):
			return of(target, "dir", "search", "open", "read")
		default:
			return append(of(target, "dir", "search"), of(target, "file", "open", "read")...)
		}
	}
	if match := examined.FindStringSubmatch(line); match != nil && typeOf(match[1]) != "" {
		return of(typeOf(match[1]), "file", "getattr")
	}
	if match := followed.FindStringSubmatch(line); match != nil && typeOf(match[2]) != "" {
		// Links of /proc lead to what another user's process has open.
		needed := append(of(session, "capability", "sys_ptrace"), of(typeOf(match[2]), "lnk_file", "read")...)
		if match[1] == "newfstatat" {
			needed = append(needed, of(typeOf(match[2]), "unix_stream_socket", "getattr")...)
		}
		return needed
	}
	return nil
}
