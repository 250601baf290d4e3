// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package infopipetest has what a test of infopipe needs: a real bus, and an
// InfoPipe that gives answers which SSSD never gives. SSSD's real answers are
// tested with SSSD itself, see test/sssd.
package infopipetest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Service is the name that SSSD's InfoPipe owns on the bus.
const Service = "org.freedesktop.sssd.infopipe"

// StartBus starts a dbus-daemon(1) that lives as long as the test, for any
// user, and returns its address. exec, unless it is empty, is the command by
// which the bus starts the InfoPipe; ADDRESS in it stands for the bus's address.
func StartBus(t testing.TB, exec string) (address string) {
	t.Helper()
	// Not t.TempDir: a socket's path has to be short.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address = "unix:path=" + filepath.Join(dir, "socket")
	if exec != "" {
		exec = strings.ReplaceAll(exec, "ADDRESS", address)
		write(t, filepath.Join(dir, Service+".service"), "[D-BUS Service]\nName="+Service+"\nExec="+exec+"\n")
	}
	config := filepath.Join(dir, "config")
	write(t, config, fmt.Sprintf(`<busconfig>
  <type>session</type>
  <listen>%s</listen>
  <auth>EXTERNAL</auth>
  <servicedir>%s</servicedir>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>`, address, dir))
	startDaemon(t, config)
	return address
}

func startDaemon(t testing.TB, config string) {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("no dbus-daemon here: install the package dbus-daemon")
	}
	daemon := exec.Command(program, "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	var log bytes.Buffer
	daemon.Stderr = &log
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
		if t.Failed() {
			t.Logf("dbus-daemon says:\n%s", &log)
		}
	})
	// It prints its address once it listens.
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("dbus-daemon does not start: %v", err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
