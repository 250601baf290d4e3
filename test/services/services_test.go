// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package services

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// The services record failed logins below /var/log.
func TestMain(m *testing.M) { namespace.Main(m, "/var/log") }

const password = "correct horse"

// machine copies this machine's /etc, adds a user bob and, if a module is given, makes
// the rule the first one of every service. Cockpit has exported certificates, so that
// the module asks its worker.
func machine(t *testing.T, module string) {
	t.Helper()
	namespace.Need(t)
	for _, program := range []string{"sshd", "ssh", "sshpass", "su", "sudo", "login", "useradd"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}
	namespace.Copy(t, "/etc")
	script := `
		mkdir -p /run/cockpit/tls /run/sshd /run/bob
		useradd --home-dir /run/bob --shell /bin/sh bob
		chown bob /run/bob
		echo "bob:` + password + `" | chpasswd
		printf 'Defaults !lecture\nALL ALL=(bob) PASSWD: ALL\nDefaults targetpw\n' >/etc/sudoers
		rm -rf /run/hostkey* /etc/nologin /etc/securetty /etc/motd /etc/ssh/sshd_config.d/*
		ssh-keygen -q -t ed25519 -N '' -f /run/hostkey
		sed -i '/pam_lastlog\|pam_motd\|pam_mail\|pam_selinux\|pam_faildelay/d' /etc/pam.d/login /etc/pam.d/sshd`
	if module != "" {
		rule := "-auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] " + module
		script += "\nfor s in sshd su sudo login; do sed -i '1i " + rule + "' /etc/pam.d/$s; done"
	}
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// whoami is the command of every login that succeeds: it prints the user and the state
// of the program that authenticated, and exits.
const whoami = `echo "I am $(id -un)"; for p in $PPID $(cut -d' ' -f4 /proc/$PPID/stat); do ` +
	`echo "program $(cat /proc/$p/comm) $(grep -E '^(Threads|SigCgt):' /proc/$p/status | tr -s '\n\t' '  ')"; done`

// services log bob in with a password, and return the output on his terminal.
var services = map[string]func(t *testing.T, password string) string{
	"su": func(t *testing.T, password string) string {
		command := exec.Command("setpriv", "--reuid=nobody", "--clear-groups", "su", "bob", "-c", whoami)
		command.Stdin = strings.NewReader(password + "\n")
		out, _ := command.CombinedOutput()
		return string(out)
	},
	"sudo": func(t *testing.T, password string) string {
		command := exec.Command("setpriv", "--reuid=daemon", "--clear-groups", "sudo", "-S", "-k", "-u", "bob", "sh", "-c", whoami)
		command.Stdin = strings.NewReader(password + "\n")
		out, _ := command.CombinedOutput()
		return string(out)
	},
	"login": func(t *testing.T, password string) string {
		terminal, err := startOnTerminal("login")
		if err != nil {
			t.Fatal(err)
		}
		defer terminal.close()
		if terminal.wait("login:") == "" || !terminal.write("bob") || terminal.wait("assword:") == "" || !terminal.write(password) {
			t.Fatalf("no prompt: %s", terminal.screen)
		}
		if terminal.wait("$ ", "incorrect") != "$ " {
			return terminal.screen
		}
		terminal.write("stty -echo; " + whoami + "; exit")
		terminal.wait("logout")
		return terminal.screen
	},
	"sshd": func(t *testing.T, password string) string {
		command := exec.Command("sshpass", "-e", "ssh", "-F", "none", "-o", "StrictHostKeyChecking=no",
			"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1",
			"-o", "PreferredAuthentications=keyboard-interactive",
			"-o", "ProxyCommand=/usr/sbin/sshd -i -f /run/sshd_config", "bob@test", whoami)
		command.Env = append(os.Environ(), "SSHPASS="+password)
		config := "HostKey /run/hostkey\nUsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\nPermitRootLogin no\n"
		if err := os.WriteFile("/run/sshd_config", []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := command.CombinedOutput()
		return string(out)
	},
}

func TestOtherServicesAreAsWithoutTheModule(t *testing.T) {
	module := pamhost.Built(t, "pam_cockpit_cert.so")
	for _, with := range []struct{ name, module string }{{"without the module", ""}, {"with the module", module}} {
		t.Run(with.name, func(t *testing.T) {
			machine(t, with.module)
			for name, logIn := range services {
				t.Run(name+" with the right password", func(t *testing.T) {
					seen := logIn(t, password)
					if !strings.Contains(seen, "I am bob") {
						t.Fatalf("bob is not logged in:\n%s", seen)
					}
					checkNoGo(t, seen)
				})
				t.Run(name+" with a wrong password", func(t *testing.T) {
					if seen := logIn(t, "wrong"); strings.Contains(seen, "I am bob") {
						t.Errorf("bob is logged in:\n%s", seen)
					}
				})
			}
		})
	}
}

// checkNoGo checks that the program that authenticated has no Go runtime, which would
// have several threads, and would catch SIGURG, which it uses for preemption.
func checkNoGo(t *testing.T, seen string) {
	t.Helper()
	const sigurg = 1 << (23 - 1)
	programs := 0
	for _, line := range strings.Split(seen, "\n") {
		var comm string
		var threads int
		var caught uint64
		if n, _ := fmt.Sscanf(strings.TrimSpace(line), "program %s Threads: %d SigCgt: %x", &comm, &threads, &caught); n < 3 {
			continue
		}
		// Since OpenSSH 9.8 another program than sshd authenticates.
		if !slices.Contains([]string{"su", "sudo", "login", "sshd", "sshd-session", "sshd-auth"}, comm) {
			continue // the parent of the program that authenticated
		}
		programs++
		if threads != 1 || caught&sigurg != 0 {
			t.Errorf("holds Go after authentication: %s", line)
		}
	}
	if programs == 0 {
		t.Errorf("nothing is known of the program:\n%s", seen)
	}
}
