// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package admin

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/infopipe"
	fake "pam_cockpit_cert/internal/testutil/infopipetest"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// wrapped matches the break of a long line of a status.
var wrapped = regexp.MustCompile(`\n {8}([^ $-]|-[^>])`)

// matches expects each regular expression in a status, at the start of a line, wherever
// lines are broken.
func matches(t *testing.T, output string, expressions ...string) {
	t.Helper()
	output = wrapped.ReplaceAllString(output, " $1")
	for _, expression := range expressions {
		if !regexp.MustCompile(`(?m)^` + expression).MatchString(output) {
			t.Errorf("nothing matches %q in\n%s", expression, output)
		}
	}
}

// write makes a file, and its directory.
func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// rule makes a service whose rule names a module.
func rule(t *testing.T, module string) {
	t.Helper()
	write(t, "/etc/pam.d/cockpit", "auth required pam_unix.so\naccount required pam_unix.so\n", 0o644)
	if output, status := command(t, nil, 0, "pam", "install", "--module", module); status != 0 {
		t.Fatal(output)
	}
}

func TestStatusAsksSSSDAndTheLinker(t *testing.T) {
	namespace.Need(t)
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	rule(t, module)

	output, status := command(t, nil, 0, "status")
	matches(t, output,
		`ok +sssd: running$`,
		`ok +validation: SSSD rejects a self-signed certificate$`,
		`ok +authorities: 1 in /etc/sssd/pki/sssd_auth_ca_db.pem`,
		`ok +pam-rule: in line 1 of /etc/pam.d/cockpit`,
		`ok +pam-module: `+regexp.QuoteMeta(module)+`$`,
		`BROKEN +certificates: off`)
	if status != 1 {
		t.Errorf("exit status %d", status)
	}

	output, _ = command(t, nil, 61001, "status")
	matches(t, output,
		`unknown +sssd: running; it answers root only\n +-> try again as root`,
		`unknown +authorities: .*permission denied\n +-> try again as root`)

	s.StopSSSD()
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `BROKEN +sssd: SSSD is not running and could not be started`)

	s.Write(sssd.Authority, string(ca.PEM())+string(ca.Issue("old", pki.Expired).PEM()))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `BROKEN +authorities: 2 in .*, 1 of them not valid today, such as CN=old,O=Lab\n +-> remove or renew those`)
	s.Write(sssd.Authority, "nothing\n")
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `BROKEN +authorities: .* has none\n +-> put the certificates`)
	s.Write("/etc/sssd/other.pem", string(ca.PEM()))
	s.Write(sssd.Config, config(t, "[ IFP ]\nCA_db = /etc/sssd/other.pem\n"))
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `ok +authorities: 1 in /etc/sssd/other.pem`)
}

// Each refusal says what an ordinary user can do about it, and a check that such a user
// cannot make is not called broken.
func TestAnOrdinaryUserLearnsWhatOnlyRootMay(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	installed(t)
	const user = 61001
	for _, args := range [][]string{{"pam", "install", "--debug"}, {"pam", "remove"}, {"enable"}} {
		output, status := command(t, nil, user, args...)
		wants(t, output, "permission denied", "; try again as root")
		if status != 1 {
			t.Errorf("%v: exit status %d", args, status)
		}
	}
	output, status := command(t, nil, user, "--json", "pam", "remove")
	wants(t, output, `"error": "`, "; try again as root")
	if status != 1 {
		t.Errorf("exit status %d", status)
	}
	// Nothing has to be changed, so that the user need not be root.
	if output, status := command(t, nil, user, "disable"); status != 0 {
		t.Errorf("exit status %d: %s", status, output)
	}

	write(t, "/etc/cockpit/cockpit.conf", "[WebService]\nClientCertAuthentication = true\n", 0o600)
	write(t, "/etc/sssd/sssd.conf", "[ifp]\nca_db = /elsewhere.pem\n", 0o600)
	write(t, "/etc/pam.d/cockpit", "auth required pam_unix.so\n", 0o600)
	output, _ = command(t, nil, user, "status")
	matches(t, output,
		`unknown +certificates: open /etc/cockpit/cockpit.conf: permission denied\n +-> try again as root`,
		`unknown +session-command`,
		`unknown +pam-rule: .*permission denied\n +-> try again as root`,
		`unknown +authorities: where SSSD has them cannot be seen: open /etc/sssd/sssd.conf: permission denied\n +-> try again as root`)
}

// Since SSSD 2.10, a user other than root reads the authorities. This machine's SSSD
// may be older, so that a process with SSSD's name stands in for it.
func TestStatusKnowsAuthoritiesThatSSSDCannotRead(t *testing.T) {
	namespace.Need(t)
	s := sssd.New(t, pki.NewAuthority("Lab CA").PEM())
	const program, user = "/run/sssd_ifp", 61001
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	write(t, program, string(sleep), 0o755)
	process := exec.Command(program, "60")
	process.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	s.Write(sssd.Config, "[sssd]\n")
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `BROKEN +authorities: `+sssd.Authority+` cannot be read by SSSD, which runs as user ID 61001\n +-> there are no secrets in it\n +\$ chmod 644 `+sssd.Authority+`$`)
	if err := os.Chmod(sssd.Authority, 0o644); err != nil {
		t.Fatal(err)
	}
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `ok +authorities`)

	// A process in a container belongs to another SSSD.
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()
	container := exec.Command("unshare", "--pid", "--fork", "--kill-child", "setpriv", "--reuid", "61001", "--clear-groups", program, "60")
	if err := container.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = container.Process.Kill(); _ = container.Wait() })
	running := func() bool {
		names, _ := filepath.Glob("/proc/[0-9]*/status")
		return slices.ContainsFunc(names, func(name string) bool {
			text, err := os.ReadFile(name)
			return err == nil && strings.HasPrefix(string(text), "Name:\tsssd_ifp\n") && !strings.Contains(string(text), "State:\tZ")
		})
	}
	for begin := time.Now(); !running(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the container's process does not start")
		}
	}
	if err := os.Chmod(sssd.Authority, 0o600); err != nil {
		t.Fatal(err)
	}
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `ok +authorities`)
}

// If SELinux is enforcing, D-Bus may reject SSSD's answer.
func TestSELinuxIsSuspected(t *testing.T) {
	namespace.Need(t)
	s := sssd.New(t, pki.NewAuthority("Lab CA").PEM())
	s.AddUser("alice", 61001)
	s.StartBus()
	fake.Serve(t, infopipe.SystemBus, fake.Answers{
		"FindByValidCertificate": fake.Failure("org.freedesktop.DBus.Error.AccessDenied", "Rejected send message")})
	const suspicion = "SELinux is enforcing here, and may be the cause: look for sssd_t, cockpit_session_t or dbus in: ausearch -m avc,user_avc,selinux_err"
	certificate := pki.NewAuthority("Lab CA").Issue("alice").PEM()
	output, _ := command(t, certificate, 0, "check", "-")
	if strings.Contains(output, suspicion) {
		t.Errorf("SELinux is suspected where there is none:\n%s", output)
	}
	if err := unix.Mount("tmpfs", "/sys/fs", "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount("/sys/fs", unix.MNT_DETACH) })
	write(t, "/sys/fs/selinux/enforce", "1", 0o644)
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `BROKEN +sssd: D-Bus does not let us ask SSSD .*`+suspicion)
	output, _ = command(t, certificate, 0, "check", "-")
	wants(t, output, suspicion)
}

// Cockpit's unprivileged parts must be able to read and execute their files.
func TestStatusJudgesFilesForWhoReadsThem(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	const config, session = "/etc/cockpit/cockpit.conf", "/run/judged/cockpit-cert-session"
	write(t, config, "[WebService]\nClientCertAuthentication = true\n[tls-cert]\nCommand = "+session+"\n", 0o640)
	write(t, session, "#!/bin/sh\n", 0o755)
	if err := os.Chmod("/run/judged", 0o700); err != nil {
		t.Fatal(err)
	}
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `BROKEN +certificates: .*, which Cockpit cannot read\n +\$ chmod 644 `+config,
		`BROKEN +session-command: .* cannot be executed by cockpit-ws\n +\$ chmod o\+x /run/judged$`)

	// For a running process, its user and groups count.
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	const group = 61007
	for _, name := range []string{config, "/run/judged"} {
		if err := os.Chown(name, 0, group); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod("/run/judged", 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, "/run/cockpit-ws", string(sleep), 0o755)
	web := exec.Command("/run/cockpit-ws", "60")
	web.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 61001, Gid: 61001, Groups: []uint32{group}}}
	if err := web.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = web.Process.Kill(); _ = web.Wait() })
	output, _ = command(t, nil, 0, "status")
	matches(t, output, `ok +certificates: `, `ok +session-command: `)
}

// The exit status is 0 if, and only if, nothing is missing.
func TestStatusOfASystemThatLacksNothing(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(config(t, ""))
	rule(t, pamhost.Built(t, "pam_cockpit_cert.so"))
	namespace.Copy(t, "/usr/lib/cockpit") // has a cockpit-ws, or is about to have one
	write(t, "/usr/lib/cockpit/cockpit-ws", "#!/bin/sh\n", 0o755)
	if err := os.MkdirAll("/run/systemd/system", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll("/run/systemd/system") })
	const config, session = "/etc/cockpit/cockpit.conf", "/run/session/cockpit-cert-session"
	const on = "[WebService]\nClientCertAuthentication = true\n[tls-cert]\nCommand = " + session + "\n"
	write(t, session, "#!/bin/sh\n", 0o755)
	write(t, config, on, 0o644)

	output, status := command(t, nil, 0, "status")
	if status != 0 || regexp.MustCompile(`(?m)^(BROKEN|unknown|warning)`).MatchString(output) {
		t.Fatalf("exit status %d:\n%s", status, output)
	}
	if output, status := command(t, nil, 0, "--json", "status"); status != 0 {
		t.Errorf("exit status %d: %s", status, output)
	}

	mount := func(enforce string) {
		t.Helper()
		if err := unix.Mount("tmpfs", "/sys/fs", "tmpfs", 0, "mode=755"); err != nil {
			t.Fatal(err)
		}
		write(t, "/sys/fs/selinux/enforce", enforce, 0o644)
	}
	for enforce, want := range map[string]string{"1": `ok +selinux: enforcing what it denied: ausearch -m avc,user_avc,selinux_err`, "0": `ok +selinux: permissive$`} {
		mount(enforce)
		output, status := command(t, nil, 0, "status")
		matches(t, output, want)
		if status != 0 {
			t.Errorf("exit status %d", status)
		}
		if err := unix.Unmount("/sys/fs", unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}

	for name, breakIt := range map[string]func(){
		"certificates":    func() { write(t, config, strings.Replace(on, "true", "false", 1), 0o644) },
		"session-command": func() { write(t, session, "", 0o644) },
		"pam-rule":        func() { write(t, "/etc/pam.d/cockpit", "auth required pam_unix.so\n", 0o644) },
		"authorities":     func() { s.Write(sssd.Authority, "") },
		"control-groups":  func() { os.RemoveAll("/run/systemd/system") },
	} {
		breakIt()
		output, status := command(t, nil, 0, "status")
		matches(t, output, `BROKEN +`+name)
		if status != 1 {
			t.Errorf("%s: exit status %d", name, status)
		}
	}
}

func TestStatusKnowsAnSSSDThatIsTooOld(t *testing.T) {
	namespace.Need(t)
	s := sssd.New(t, pki.NewAuthority("Lab CA").PEM())
	s.StartBus()
	fake.Serve(t, infopipe.SystemBus, fake.Answers{
		"FindByValidCertificate": fake.Failure("org.freedesktop.DBus.Error.UnknownMethod", "FindByValidCertificate")})
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `BROKEN +sssd: this SSSD is too old to validate certificates .*\n +-> it has to be 2.6.1 or later`)

	// check uses the options of the rule, like a login.
	s.AddUser("alice", 1000)
	certificate := pki.NewAuthority("Lab CA").Issue("alice").PEM()
	output, status := command(t, certificate, 0, "check", "-")
	wants(t, output, "result       service_err (PAM_SERVICE_ERR)", "this SSSD is too old")
	if status != 1 {
		t.Errorf("exit status %d", status)
	}
	rule(t, "/nonexistent/pam_cockpit_cert.so")
	text, err := os.ReadFile("/etc/pam.d/cockpit")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("cockpit_cert.so"), []byte("cockpit_cert.so allow_unvalidated"), 1)
	write(t, "/etc/pam.d/cockpit", string(text), 0o644)
	output, status = command(t, certificate, 0, "check", "-")
	wants(t, output, "result       success (PAM_SUCCESS)")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, status = command(t, certificate, 0, "check", "--service", "other", "-"); status != 1 {
		t.Errorf("with another service's options: exit status %d", status)
	}
}

func TestStatusSaysWhatAFreshSSSDNeeds(t *testing.T) {
	namespace.Need(t)
	s := sssd.New(t, pki.NewAuthority("Lab CA").PEM())
	s.StartBus()
	output, _ := command(t, nil, 0, "status")
	matches(t, output, `BROKEN +sssd: .*\n +-> .*SSSD has no configuration yet: join a domain \(realm join\), or write /etc/sssd/sssd.conf$`)
}

func TestStatusKnowsAFileThatIsNotTheModule(t *testing.T) {
	namespace.Need(t)
	namespace.Copy(t, "/etc")
	ours, err := os.ReadFile(pamhost.Built(t, "pam_cockpit_cert.so"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte(nil), ours...)
	foreign[18], foreign[19] = 183^(foreign[18]&1), 0 // e_machine: AArch64, or one that does not exist
	for _, test := range []struct{ name, source, want string }{
		{"Cockpit's stub", "int pam_sm_authenticate(void) { return 25; }", `BROKEN +pam-module: .*the one that Cockpit brought, which does nothing`},
		{"one whose libraries are missing", `__attribute__((section(".go.buildinfo"))) int go = 1; extern int nowhere(void); int pam_sm_authenticate(void) { return nowhere(); }`,
			`BROKEN +pam-module: .*cannot be loaded: .*undefined symbol: nowhere`},
		{"one of another architecture", "", `BROKEN +pam-module: .*is for EM_.*, and this system is EM_`},
		{"text", "-", `BROKEN +pam-module: .*is not a shared object`},
		{"none", "none", `BROKEN +pam-module: .* is not installed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			module := filepath.Join(t.TempDir(), "pam_cockpit_cert.so")
			switch test.source {
			case "none":
			case "":
				err = os.WriteFile(module, foreign, 0o644)
			case "-":
				err = os.WriteFile(module, []byte("#!/bin/sh\n"), 0o644)
			default:
				compile := exec.Command("cc", "-shared", "-fPIC", "-xc", "-o", module, "-")
				in, pipeErr := compile.StdinPipe()
				if pipeErr != nil {
					t.Fatal(pipeErr)
				}
				if err := compile.Start(); err != nil {
					t.Skipf("needs a C compiler: %v", err)
				}
				_, _ = in.Write([]byte(test.source))
				_ = in.Close()
				err = compile.Wait()
			}
			if err != nil {
				t.Fatal(err)
			}
			rule(t, module)
			output, _ := command(t, nil, 0, "status")
			matches(t, output, test.want)
		})
	}
}
