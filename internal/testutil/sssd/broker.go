// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/testutil/pamhost"
)

// journal is the socket to which dbus-broker-launch(1) logs; without it, it fails.
const journal = "/run/systemd/journal/socket"

// UseBroker uses dbus-broker(1) as the bus. It does not activate programs here,
// because it leaves that to systemd. Its package is unpacked and not installed:
// installed, it would become the machine's own bus at the next start.
func (s *SSSD) UseBroker() {
	s.t.Helper()
	if _, err := exec.LookPath("systemd-socket-activate"); err != nil {
		s.t.Skip("no systemd-socket-activate here, which gives dbus-broker its socket")
	}
	s.broker = true
	const programs = "/usr/bin"
	if _, err := os.Stat(programs + "/dbus-broker-launch"); err == nil {
		return
	}
	unpacked := filepath.Dir(pamhost.Built(s.t, "test/dbus-broker"+programs+"/dbus-broker-launch"))
	if err := unix.Mount("overlay", programs, "overlay", unix.MS_RDONLY, "lowerdir="+unpacked+":"+programs); err != nil {
		s.t.Skipf("dbus-broker cannot be shown in %s here: %v", programs, err)
	}
	s.t.Cleanup(func() {
		if err := unix.Unmount(programs, unix.MNT_DETACH); err != nil {
			s.t.Errorf("unmounting dbus-broker: %v", err)
		}
	})
}

func (s *SSSD) startBroker() {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(journal), 0o755); err != nil {
		s.t.Fatal(err)
	}
	os.Remove(journal)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: journal, Net: "unixgram"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { socket.Close() })
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			if _, err := socket.Read(buffer); err != nil {
				return
			}
		}
	}()
	path := strings.TrimPrefix(infopipe.SystemBus, "unix:path=")
	s.start("systemd-socket-activate", "--listen="+path, "dbus-broker-launch", "--scope", "system")
	s.until("the bus is there", func() bool {
		_, err := os.Stat(path)
		return err == nil && os.Chmod(path, 0o666) == nil
	})
}
