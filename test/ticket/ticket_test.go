// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package ticket

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/strace"
)

func TestMain(m *testing.M) { namespace.Main(m) }

// file is a file name of the PAM module.
const file = "cockpit-session-77.ccache"

// program runs cockpit-cert-ticket as the PAM module does, and returns what it reports.
func program(t testing.TB, arguments ...string) string {
	t.Helper()
	return run(t, pamhost.Built(t, "cockpit-cert-ticket"), arguments...)
}

func run(t testing.TB, path string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, path, arguments...)
	// The sanitizer looks for leaks with ptrace(2), which the program forbids.
	command.Env = []string{"ASAN_OPTIONS=detect_leaks=0"}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", command, err)
	}
	return string(out)
}

// TestTickets checks the user's cache and the log, with a working KDC.
func TestTickets(t *testing.T) {
	startKDC(t)
	sanitized := sanitized(t)
	person(t, "alice", 61001, true)
	person(t, "gina smith", 61002, true)
	person(t, "lars", 61003, false) // a local user, whose name the domain does not have
	person(t, "bob", 61004, true)   // whom the KDC does not know
	person(t, "disabled", 61005, true)
	for name, test := range map[string]struct {
		arguments    []string
		tickets, log string
	}{
		"a user of the domain": {
			[]string{"alice", "61001", file},
			"alice@LAB.TEST for host/host1.lab.test@LAB.TEST", "^written\n$",
		},
		"a name with the domain": {
			[]string{"alice@LAB.TEST", "61001", file},
			"alice@LAB.TEST for host/host1.lab.test@LAB.TEST", "^written\n$",
		},
		"a name with a blank": {
			[]string{"gina smith", "61002", file},
			"gina smith@LAB.TEST for host/host1.lab.test@LAB.TEST", "^written\n$",
		},
		"a local user": {
			[]string{"lars", "61003", file}, "none",
			"^5 no Kerberos ticket: SSSD does not know lars as a user of LAB.TEST; turn this off with no_ticket\n$",
		},
		"root, whose name somebody has in the domain": {
			[]string{"root", "0", file}, "none", "^5 no Kerberos ticket: SSSD does not know root as a user of LAB.TEST",
		},
		"another uid": {
			[]string{"alice", "61002", file}, "none", "^4 no Kerberos ticket: the user alice is not the one who logged in",
		},
		"nobody": {
			[]string{"nobody has this", "61009", file}, "none", "^4 no Kerberos ticket: the user nobody has this is not",
		},
		"unknown to the KDC": {
			[]string{"bob", "61004", file}, "none",
			"^4 no Kerberos ticket: the KDC gives none for bob@LAB.TEST: Client not found .*: the domain has no such user\n$",
		},
		"disabled in the domain": {
			[]string{"disabled", "61005", file}, "none",
			"^4 no Kerberos ticket: the KDC gives none for disabled@LAB.TEST: .*: is the account disabled, expired or locked\\?\n$",
		},
		// MIT's own database does not support delegation.
		"a service that the domain does not allow": {
			[]string{"-t", "host@other.lab.test", "alice", "61001", file},
			"alice@LAB.TEST for host/host1.lab.test@LAB.TEST",
			"^written\n4 no Kerberos ticket for host@other.lab.test: .*: does the domain let this host delegate to it\\?\nwritten\n$",
		},
		"a service that the domain does not have": {
			[]string{"-t", "nfs@none.lab.test", "alice", "61001", file},
			"alice@LAB.TEST for host/host1.lab.test@LAB.TEST",
			"^written\n4 no Kerberos ticket for nfs@none.lab.test: .*: the domain has no such service; correct ticket_for in pam.d\nwritten\n$",
		},
		"this host itself, which needs no delegation": {
			[]string{"-t", "host@HOST1.lab.test", "alice", "61001", file},
			"alice@LAB.TEST for host/host1.lab.test@LAB.TEST", "^written\n$",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := runtimeDirectory(t, uidOf(test.arguments))
			_ = os.Remove(filepath.Join(dir, file))
			run(t, sanitized, test.arguments...)
			log := program(t, test.arguments...)
			if !regexp.MustCompile(test.log).MatchString(withoutDebug(log)) {
				t.Errorf("reports\n%s, not %s", log, test.log)
			}
			if got := listed(t, filepath.Join(dir, file)); got != test.tickets {
				t.Errorf("the cache has %s; want %s", got, test.tickets)
			}
		})
	}
}

// sanitized returns the program with the compiler's sanitizers, which end it at the
// first memory error.
func sanitized(t testing.TB) string {
	t.Helper()
	path := t.TempDir() + "/sanitized"
	script := `$CC -std=gnu11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all $(pkg-config --cflags krb5-gssapi krb5) \
		-o "$1" ../../cmd/cockpit-cert-ticket/*.c $(pkg-config --libs krb5-gssapi krb5) -ldl`
	command := exec.Command("sh", "-euc", `: "${CC:=gcc}"; `+script, "sh", path)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func uidOf(arguments []string) int {
	var uid int
	_, _ = fmt.Sscan(arguments[len(arguments)-2], &uid)
	return uid
}

// withoutDebug returns the lines that the log has without the option debug.
func withoutDebug(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "7 ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestHostsInTrouble checks that a host without a valid key gets no tickets for
// users, and that users do not get root's own tickets.
func TestHostsInTrouble(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(t *testing.T, k *kdc)
		log     string
	}{
		"no keytab":         {func(t *testing.T, _ *kdc) { remove(t, "/etc/krb5.keytab") }, "^$"},
		"not joined at all": {func(t *testing.T, _ *kdc) { remove(t, "/etc/krb5.keytab"); remove(t, "/etc/krb5.conf") }, "^$"},
		"an empty keytab":   {func(t *testing.T, _ *kdc) { write(t, "/etc/krb5.keytab", "") }, "cannot read FILE:/etc/krb5.keytab: "},
		"garbage for a keytab": {
			func(t *testing.T, _ *kdc) { write(t, "/etc/krb5.keytab", strings.Repeat("garbage", 99)) },
			"cannot read FILE:/etc/krb5.keytab: .*; see klist -k\n$",
		},
		"a directory for a keytab": {
			func(t *testing.T, _ *kdc) {
				remove(t, "/etc/krb5.keytab")
				if err := os.Mkdir("/etc/krb5.keytab", 0o700); err != nil {
					t.Fatal(err)
				}
			}, "cannot read FILE:/etc/krb5.keytab: ",
		},
		"a keytab of something else": {
			func(t *testing.T, k *kdc) {
				remove(t, "/etc/krb5.keytab")
				k.admin(t, "addprinc -randkey nfs/host1.lab.test")
				k.admin(t, "ktadd nfs/host1.lab.test")
			}, "FILE:/etc/krb5.keytab has no key of this host; join the domain again",
		},
		"a stale keytab": {
			func(t *testing.T, k *kdc) { k.admin(t, "cpw -randkey host/host1.lab.test") },
			"the KDC gives host/host1.lab.test@LAB.TEST none: .*: the keytab is older than the key in the domain; join the domain again",
		},
		"a host that was removed from the domain": {
			func(t *testing.T, k *kdc) { k.admin(t, "delprinc -force host/host1.lab.test") },
			"the KDC gives host/host1.lab.test@LAB.TEST none: .*: the domain does not let this host in; join the domain again",
		},
		"no KDC": {
			func(_ *testing.T, k *kdc) { k.stop() },
			"none: Cannot contact any KDC .*: can this host reach a domain controller\\? see sssctl domain-status",
		},
		"a krb5.conf that cannot be read": {
			func(t *testing.T, _ *kdc) { write(t, "/etc/krb5.conf", "[libdefaults\n") },
			"cannot read /etc/krb5.conf or a file that it includes: Improper format of Kerberos configuration file; see klist\n$",
		},
		"a krb5.conf that includes what is not there": {
			func(t *testing.T, _ *kdc) { prepend(t, "/etc/krb5.conf", "includedir /etc/none\n") },
			"cannot read /etc/krb5.conf or a file that it includes: Included profile directory could not be read; see klist\n$",
		},
		"a krb5.conf without the keys' types": {
			func(t *testing.T, _ *kdc) {
				prepend(t, "/etc/krb5.conf", "[libdefaults]\npermitted_enctypes = camellia128-cts-cmac\n")
			},
			"none: .*: does krb5.conf permit a type of the keytab's keys\\? see klist -ke\n$",
		},
		"a krb5.conf with a setting that cannot be": {
			func(t *testing.T, _ *kdc) { prepend(t, "/etc/krb5.conf", "[libdefaults]\nticket_lifetime = long\n") },
			"none: .*: correct krb5.conf\n$",
		},
		"a krb5.conf with another keytab": {
			func(t *testing.T, _ *kdc) {
				prepend(t, "/etc/krb5.conf", "[libdefaults]\ndefault_keytab_name = NONE:/etc/krb5.keytab\n")
			},
			"no Kerberos ticket: Unknown Key table type; see default_keytab_name in krb5.conf\n$",
		},
		"no keytab, and root has tickets": {
			func(t *testing.T, k *kdc) {
				remove(t, "/etc/krb5.keytab")
				out, err := exec.Command("sh", "-c", "echo secret | kinit -c FILE:/tmp/krb5cc_0 alice").CombinedOutput()
				if err != nil {
					t.Fatalf("kinit: %v: %s", err, out)
				}
				t.Cleanup(func() { os.Remove("/tmp/krb5cc_0") })
			}, "^$",
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := startKDC(t)
			person(t, "alice", 61001, true)
			test.prepare(t, k)
			log := withoutDebug(program(t, "alice", "61001", file))
			if !regexp.MustCompile(test.log).MatchString(log) {
				t.Errorf("reports %q, not %s", log, test.log)
			}
			if lines := strings.Count(log, "\n"); lines > 1 {
				t.Errorf("reports %d lines:\n%s", lines, log)
			}
			if got := listed(t, "/run/user/61001/"+file); got != "none" {
				t.Errorf("the cache has %s", got)
			}
		})
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func prepend(t testing.TB, path, text string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, text+string(old))
}

// TestDefaultCache checks that the cache that krb5.conf names, which here is root's own,
// changes nothing: it is neither used nor written.
func TestDefaultCache(t *testing.T) {
	startKDC(t)
	person(t, "alice", 61001, true)
	const path = "/run/user/61001/" + file
	config, err := os.ReadFile("/etc/krb5.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir+"/file", "root's")
	for _, name := range []string{"FILE:" + dir + "/file", "DIR:" + dir + "/made", "KCM:", "KEYRING:persistent:%{uid}", "NONE:"} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(path)
			write(t, "/etc/krb5.conf", "[libdefaults]\ndefault_ccache_name = "+name+"\n"+string(config))
			log := withoutDebug(program(t, "alice", "61001", file))
			if got := listed(t, path); log != "written\n" || got != "alice@LAB.TEST for host/host1.lab.test@LAB.TEST" {
				t.Errorf("reports %q, and the cache has %s", log, got)
			}
			if _, err := os.Lstat(dir + "/made"); err == nil {
				t.Error("a cache was made")
			}
			if text, err := os.ReadFile(dir + "/file"); err != nil || string(text) != "root's" {
				t.Errorf("root's cache is %q, %v", text, err)
			}
		})
	}
}

// TestRuntimeDirectoryIsFull checks that no part of a file stays where there is no room
// for it, and that the log says so in one line.
func TestRuntimeDirectoryIsFull(t *testing.T) {
	startKDC(t)
	person(t, "alice", 61001, true)
	const dir = "/run/user/61001"
	for name, options := range map[string]string{"no block": "size=4k", "no inode": "nr_inodes=1"} {
		t.Run(name, func(t *testing.T) {
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "uid=61001,gid=61001,mode=700,"+options); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
			_ = os.WriteFile(dir+"/full", make([]byte, 4096), 0o600)
			for _, arguments := range [][]string{nil, {"-t", "host@other.lab.test"}} {
				log := withoutDebug(program(t, append(arguments, "alice", "61001", file)...))
				if !regexp.MustCompile("^4 no Kerberos ticket: cannot write " + file + " .*; is it full\\? see df\n$").MatchString(log) {
					t.Errorf("reports %q", log)
				}
				if _, err := os.Lstat(dir + "/" + file); err == nil {
					t.Error("a part of the file stays")
				}
			}
		})
	}
}

// TestTimeIsUpWhileWriting checks that the time limit ends the program before or after it
// replaces the file, and not in between, when the user would have no file.
func TestTimeIsUpWhileWriting(t *testing.T) {
	startKDC(t)
	person(t, "alice", 61001, true)
	strace.Need(t)
	// The limit is 2 s. A child has written the file, and now the program removes that
	// file, to write one with more tickets, which takes 2.5 s.
	command := exec.Command("strace", "-qq", "-o", "/dev/null",
		"-e", "trace=?unlink,unlinkat", "-e", "inject=?unlink,unlinkat:delay_exit=2500000:when=1",
		"perl", "-e", "alarm 2; exec @ARGV", pamhost.Built(t, "cockpit-cert-ticket"), "-t", "host@other.lab.test", "alice", "61001", file)
	out, err := command.CombinedOutput()
	if err != nil || strings.Count(string(out), "written\n") != 2 {
		t.Errorf("%v: %s", err, out)
	}
	if got := listed(t, "/run/user/61001/"+file); got != "alice@LAB.TEST for host/host1.lab.test@LAB.TEST" {
		t.Errorf("the cache has %s", got)
	}
}

// TestWhatAUserPutsThere checks that a user cannot make the program write to, or
// remove, a file of another user, by what is in the user's directory.
func TestWhatAUserPutsThere(t *testing.T) {
	startKDC(t)
	person(t, "alice", 61001, true)
	person(t, "bob", 61002, true)
	target := t.TempDir() + "/precious"
	write(t, target, "precious")
	const dir, path = "/run/user/61001", "/run/user/61001/" + file
	const ticket = "alice@LAB.TEST for host/host1.lab.test@LAB.TEST"
	for name, test := range map[string]struct {
		put     func() error
		tickets string // "" is none, and the log says why
	}{
		"nothing":              {func() error { return nil }, ticket},
		"an old file":          {func() error { return os.WriteFile(path, []byte("old"), 0o666) }, ticket},
		"a link":               {func() error { return os.Symlink(target, path) }, ticket},
		"a link to nothing":    {func() error { return os.Symlink("/etc/made", path) }, ticket},
		"a hard link":          {func() error { return os.Link(target, path) }, ticket},
		"a FIFO":               {func() error { return syscall.Mkfifo(path, 0o666) }, ticket},
		"a directory":          {func() error { return os.Mkdir(path, 0o777) }, ""},
		"root's file":          {func() error { return os.WriteFile(path, []byte("root's"), 0o600) }, ticket},
		"no runtime directory": {func() error { return os.RemoveAll(dir) }, ""},
		"another's directory":  {func() error { return os.Chown(dir, 61002, 61002) }, ""},
		"root's directory":     {func() error { return os.Chown(dir, 0, 0) }, ""},
		"a directory for all":  {func() error { return os.Chmod(dir, 0o777) }, ""},
		"a link to another's":  {func() error { _ = os.RemoveAll(dir); return os.Symlink("/run/user/61002", dir) }, ""},
		"a file as directory":  {func() error { _ = os.RemoveAll(dir); return os.WriteFile(dir, nil, 0o644) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.RemoveAll(dir)
			runtimeDirectory(t, 61001)
			if name == "a hard link" {
				// The real runtime directory is a file system of its own; this one is not.
				if err := os.MkdirAll(dir+"/of-bob", 0o755); err != nil {
					t.Fatal(err)
				}
				target := dir + "/of-bob/file"
				write(t, target, "bob's")
				test.put = func() error { return os.Link(target, path) }
			}
			if err := test.put(); err != nil {
				t.Fatal(err)
			}
			_ = os.Lchown(path, 61001, 61001)
			if name == "root's file" {
				_ = os.Chown(path, 0, 0)
			}
			log := withoutDebug(program(t, "alice", "61001", file))
			if written := log == "written\n"; written != (test.tickets != "") {
				t.Errorf("reports %q", log)
			}
			if test.tickets != "" {
				if got := listed(t, path); got != test.tickets {
					t.Errorf("the cache has %s", got)
				}
				st, err := os.Lstat(path)
				if err != nil {
					t.Fatal(err)
				}
				if owner := st.Sys().(*syscall.Stat_t); !st.Mode().IsRegular() || st.Mode().Perm() != 0o600 || owner.Uid != 61001 || owner.Nlink != 1 {
					t.Errorf("the cache is %s, of uid %d, with %d links", st.Mode(), owner.Uid, owner.Nlink)
				}
			}
			if left, err := os.ReadDir("/run/user/61002"); err != nil || len(left) != 0 {
				t.Errorf("bob's runtime directory has %v, %v", left, err)
			}
			if _, err := os.Stat("/etc/made"); err == nil {
				t.Error("a file was made through the link")
			}

			program(t, "-r", "61001", file)
			if _, err := os.Lstat(path); err == nil && test.tickets != "" {
				t.Error("the cache was not removed")
			}
			if text, err := os.ReadFile(target); err != nil || string(text) != "precious" {
				t.Errorf("another's file is %q, %v", text, err)
			}
		})
	}
}

// TestRemovalIsTheUsersOwn checks that nothing is removed in another user's directory.
func TestRemovalIsTheUsersOwn(t *testing.T) {
	namespace.Need(t)
	dir := runtimeDirectory(t, 61001)
	write(t, dir+"/"+file, "bob's")
	if err := os.Chown(dir, 61002, 61002); err != nil {
		t.Fatal(err)
	}
	program(t, "-r", "61001", file)
	if _, err := os.Stat(dir + "/" + file); err != nil {
		t.Errorf("removed: %v", err)
	}
}

// TestRemovalAfterTheDirectory checks a removal after logind has removed the directory.
func TestRemovalAfterTheDirectory(t *testing.T) {
	namespace.Need(t)
	if log := program(t, "-r", "61001", file); log != "" {
		t.Errorf("reports %q", log)
	}
}

// TestUsage checks that arguments that the module never passes are rejected, and
// change nothing.
func TestUsage(t *testing.T) {
	namespace.Need(t)
	path := pamhost.Built(t, "cockpit-cert-ticket")
	for _, arguments := range [][]string{
		{}, {"alice"}, {"alice", "61001"}, {"alice", "-1", "f"}, {"alice", "4294967295", "f"}, {"alice", "1x", "f"}, {"alice", "", "f"},
		{"alice", "61001", "../f"}, {"alice", "61001", ""}, {"alice", "61001", ".f"}, {"alice", "61001", "f", "more"},
		{"-r", "alice", "61001", "f"}, {"-r", "f"}, {"-r", "0", "/etc/passwd"}, {"-x", "alice", "61001", "f"},
		append(strings.Fields(strings.Repeat("-t a@b ", 17)), "alice", "61001", "f"),
	} {
		out, err := exec.Command(path, arguments...).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "usage: ") && !strings.Contains(string(out), "option") {
			t.Errorf("%q: %v: %s", arguments, err, out)
		}
	}
}
