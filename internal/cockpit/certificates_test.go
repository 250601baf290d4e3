// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package cockpit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/state"
	"pam_cockpit_cert/internal/testutil/rootfs"
)

const command = "/usr/libexec/pam_cockpit_cert/cockpit-cert-session"

// system makes a root with a cockpit.conf.
func system(t *testing.T, text string) (root, config string) {
	t.Helper()
	root = rootfs.New(t, map[string]string{ConfigFile: text})
	return root, filepath.Join(root, ConfigFile)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func on(t *testing.T, root, command string) Report {
	t.Helper()
	report, err := EnableCertificates(root, CertificateSettings(command))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func off(t *testing.T, root string) Report {
	t.Helper()
	report, err := DisableCertificates(root)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestDisableRestoresEveryByte(t *testing.T) {
	for _, test := range []struct{ name, before, enabled string }{
		{"another command of the administrator's", "[TLS-Cert]\nCOMMAND =  /opt/theirs  # once\n[WebService]\nclientcertauthentication=True\n",
			"[TLS-Cert]\nCOMMAND =  " + command + "\n[WebService]\nclientcertauthentication=True\n"},
		{"a setting that counts twice, the later one", "[WebService]\nClientCertAuthentication = yes\n[webservice]\nClientCertAuthentication = off\n",
			"[WebService]\nClientCertAuthentication = yes\n[webservice]\nClientCertAuthentication = true\n\n[tls-cert]\nCommand = " + command + "\n"},
		{"carriage returns", "[WebService]\r\nClientCertAuthentication = true\r\nOrigins = a\r\n",
			"[WebService]\r\nClientCertAuthentication = true\nOrigins = a\r\n\n[tls-cert]\nCommand = " + command + "\n"},
		{"unknown keys, comments and a section after ours", "# c\n[tls-cert]\nTimeout = 9\n\n[Session]\nIdleTimeout=15\n",
			"# c\n[tls-cert]\nCommand = " + command + "\nTimeout = 9\n\n[Session]\nIdleTimeout=15\n\n[WebService]\nClientCertAuthentication = true\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, config := system(t, test.before)
			on(t, root, command)
			if got := read(t, config); got != test.enabled {
				t.Errorf("enabled, it is %q", got)
			}
			if again := on(t, root, command); again.Changed {
				t.Errorf("a second time, it changed %v", again.Done)
			}
			off(t, root)
			if got := read(t, config); got != test.before {
				t.Errorf("disabled, it is %q", got)
			}
		})
	}
}

func TestACommandThatMovedIsUndoneToWhatWasBeforeBoth(t *testing.T) {
	const before = "[Log]\nFatal = x\n"
	root, config := system(t, before)
	on(t, root, "/usr/lib/pam_cockpit_cert/cockpit-cert-session")
	on(t, root, command)
	off(t, root)
	if got := read(t, config); got != before {
		t.Errorf("it is %q", got)
	}
}

func TestDisableKeepsWhatTheAdministratorTookBack(t *testing.T) {
	root, config := system(t, "")
	on(t, root, "")
	const theirs = "[WebService]\nClientCertAuthentication = no\n"
	write(t, config, theirs)
	on(t, root, "")
	off(t, root)
	if got := read(t, config); got != theirs {
		t.Errorf("it is %q", got)
	}
}

func TestOurCommandMayHaveOptions(t *testing.T) {
	text := "[WebService]\nClientCertAuthentication = true\n[tls-cert]\nCommand = " + command + " --socket /run/x\n"
	root, config := system(t, text)
	if report := on(t, root, command); report.Changed {
		t.Errorf("it changed %v", report.Done)
	}
	if report := off(t, root); len(report.Left) != 2 || read(t, config) != text {
		t.Errorf("left are %v, in %q", report.Left, read(t, config))
	}
}

func TestDisableWithoutAnythingMakesNothing(t *testing.T) {
	root := t.TempDir()
	if report := off(t, root); report.Changed {
		t.Errorf("it changed %v", report.Done)
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) > 0 {
		t.Errorf("it made %v: %v", entries, err)
	}
}

// In whichever order they run, certificates are on and the record exists, or they
// are off and it does not.
func TestEnableAndDisableAtOnceForgetNothing(t *testing.T) {
	const before = "[Log]\nFatal = x\n"
	root, config := system(t, before)
	for range 50 {
		var both sync.WaitGroup
		both.Add(2)
		go func() {
			defer both.Done()
			if _, err := EnableCertificates(root, CertificateSettings(command)); err != nil {
				t.Error(err)
			}
		}()
		go func() {
			defer both.Done()
			if _, err := DisableCertificates(root); err != nil {
				t.Error(err)
			}
		}()
		both.Wait()
		off(t, root)
		if got := read(t, config); got != before {
			t.Fatalf("it is %q", got)
		}
	}
}

func TestHostileFilesAreLeftAlone(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(t *testing.T, config string)
		why  string
	}{
		{"a directory", func(t *testing.T, config string) { must(t, os.Mkdir(config, 0o755)) }, "not a regular file"},
		{"a device", func(t *testing.T, config string) { must(t, unix.Mknod(config, unix.S_IFCHR|0o644, 0x105)) }, "not a regular file"},
		{"a FIFO", func(t *testing.T, config string) { must(t, unix.Mkfifo(config, 0o644)) }, "not a regular file"},
		{"a loop of links", func(t *testing.T, config string) { must(t, os.Symlink("cockpit.conf", config)) }, "too many levels"},
		{"a large file", func(t *testing.T, config string) { write(t, config, strings.Repeat("#\n", 1<<20)) }, "larger than"},
		{"a NUL byte", func(t *testing.T, config string) { write(t, config, "[WebService]\nA = \x00\n") }, "line 2: it has a NUL byte"},
		{"a long line that is nothing", func(t *testing.T, config string) { write(t, config, strings.Repeat("x", 900_000)) }, "line 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, config := system(t, "")
			must(t, os.Remove(config))
			if test.name == "a device" && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			test.make(t, config)
			for name, run := range map[string]func() error{
				"enable":  func() error { _, err := EnableCertificates(root, CertificateSettings(command)); return err },
				"disable": func() error { _, err := DisableCertificates(root); return err },
				"status":  func() error { _, err := ReadConfig(root); return err },
			} {
				if err := run(); err == nil || name != "status" && !strings.Contains(err.Error(), test.why) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if _, err := os.Stat(state.Path(root, subject)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is remembered: %v", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestARecordThatCannotBeReadIsNotUsed(t *testing.T) {
	root, config := system(t, "")
	on(t, root, command)
	enabled := read(t, config)
	write(t, state.Path(root, subject), "{")
	for name, run := range map[string]func() error{
		"disable": func() error { _, err := DisableCertificates(root); return err },
		"enable": func() error {
			write(t, config, "")
			_, err := EnableCertificates(root, CertificateSettings(command))
			return err
		},
	} {
		write(t, config, enabled)
		if err := run(); err == nil || !strings.Contains(err.Error(), "ENABLED.json") || !strings.Contains(err.Error(), "by hand") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDisableKeepsWhatTheAdministratorWrote(t *testing.T) {
	root, config := system(t, "")
	on(t, root, command)
	theirs := strings.Replace(read(t, config), command, "/opt/theirs", 1)
	write(t, config, theirs)
	report := off(t, root)
	if got := read(t, config); got != strings.TrimPrefix(theirs, "[WebService]\nClientCertAuthentication = true\n") || len(report.Left) != 0 {
		t.Errorf("it is %q, and left is %v", got, report.Left)
	}
}
