// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/escape"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// attemptVariable makes this binary make that attempt as root, without a sandbox.
const attemptVariable = "PAM_COCKPIT_CERT_ATTEMPT"

func TestMain(m *testing.M) {
	if name := os.Getenv(attemptVariable); name != "" {
		if err := escape.Try(name); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	namespace.Main(m)
}

// TestEscape checks that an attacker who has taken over the worker can do nothing that
// needs root's rights.
func TestEscape(t *testing.T) {
	namespace.Need(t)
	faulty := pamhost.Built(t, "test/faulty/pam_cockpit_cert.so")
	dir := t.TempDir()
	pamhost.Service(t, dir, "cockpit", "auth required "+faulty+"\n")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, _, noLandlock := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	for _, name := range escape.Attempts() {
		t.Run(name, func(t *testing.T) {
			if noLandlock != 0 && slices.Contains([]string{"read /etc/shadow", "list /root"}, name) {
				t.Skipf("this kernel has no Landlock: %v", noLandlock)
			}
			syslog := namespace.ListenSyslog(t)
			setScene(t, name)
			pamhost.Host{Args: []string{"-d", dir}}.Run(t)
			syslog.Wait(t, `pam_cockpit_cert\(cockpit:auth\): attempt: .*(operation not permitted|permission denied|function not implemented)$`)

			setScene(t, name)
			// In its own mount and network namespaces, because the attempt succeeds.
			control := exec.Command("unshare", "-m", "-n", self)
			control.Env = append(os.Environ(), attemptVariable+"="+name)
			if out, err := control.CombinedOutput(); err != nil {
				t.Skipf("this machine refuses it to root without a sandbox as well: %s", out)
			}
		})
	}
}

// setScene makes the files again that an attempt may harm.
func setScene(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(escape.Dir); err != nil {
		t.Fatal(err)
	}
	setFault(t, "attempt: "+name)
	victim := exec.Command("sleep", "60")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = victim.Process.Kill()
		_ = victim.Wait()
	})
	for file, text := range map[string]string{escape.Victim: "root's", escape.Pid: fmt.Sprint(victim.Process.Pid)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
