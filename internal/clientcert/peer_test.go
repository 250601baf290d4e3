// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/oldkernel"
)

func TestPeer(t *testing.T) {
	pinned := oldkernel.HasPeerPidfd()
	if os.Getenv(envWithoutPidfd) != "" && pinned {
		t.Skip("this architecture's socket calls cannot be filtered")
	}
	alice, bob := certificateAlice.Fingerprint(), certificateBob.Fingerprint()
	unexported := strings.Repeat("5", 64)
	proc := newProc(t)
	source := Source{Proc: string(proc), TLSDir: export(t)}
	proc.place(os.Getpid(), "/system.slice/cockpit-session@1.service")

	t.Run("a cockpit-ws that holds its connection", func(t *testing.T) {
		peer, stdin := connected(t)
		proc.place(peer.Process.Pid, unit(alice))
		s := source
		s.Stdin, s.Holder = stdin, proc.hold(t, peer.Process.Pid)
		if got := find(t, s); got != alice {
			t.Errorf("got %s", got)
		}
	})
	t.Run("one that was not checked", func(t *testing.T) {
		peer, stdin := connected(t)
		for holder, want := range map[int]string{
			0:                 "failed",
			-int(unix.ESRCH):  "rejected",
			-int(unix.EACCES): "failed",
		} {
			if pinned {
				want = alice // its identity is beyond doubt
			}
			s := source
			s.Stdin, s.Holder = stdin, holder
			proc.place(peer.Process.Pid, unit(alice))
			if got := find(t, s); got != want {
				t.Errorf("holder %d: got %s, want %s", holder, got, want)
			}
			// The proof is needed only for an instance with a certificate.
			for _, group := range []string{unit(withoutCertificate), "/user.slice/session-1.scope"} {
				proc.place(peer.Process.Pid, group)
				if got := find(t, s); got != "none" {
					t.Errorf("%s: got %s, want none", group, got)
				}
			}
		}
	})
	t.Run("one whose PID is not the holder's", func(t *testing.T) {
		if pinned {
			t.Skip("the kernel pins the peer")
		}
		peer, stdin := connected(t)
		holder := startChild(t, "sleep")
		proc.place(peer.Process.Pid, unit(alice))
		for group, want := range map[string]string{unit(bob): "rejected", "/user.slice/session-1.scope": "rejected", "garbage\nin it": "failed"} {
			proc.place(holder.Process.Pid, group)
			s := source
			s.Stdin, s.Holder = stdin, proc.hold(t, holder.Process.Pid)
			if got := find(t, s); got != want {
				t.Errorf("a holder in %s: got %s, want %s", group, got, want)
			}
		}
	})
	t.Run("a holder that has exited", func(t *testing.T) {
		if pinned {
			t.Skip("the kernel pins the peer")
		}
		peer, stdin := connected(t)
		proc.place(peer.Process.Pid, unit(alice))
		holder := startChild(t, "sleep")
		s := source
		s.Stdin, s.Holder = stdin, procDir(Proc).hold(t, holder.Process.Pid)
		holder.end()
		if got := find(t, s); got != "rejected" {
			t.Errorf("got %s", got)
		}
	})
	for name, test := range map[string]struct{ group, want string }{
		"a process of no interest":        {"/user.slice/user-1000.slice/session-3.scope", "none"},
		"a user's imitation":              {"/user.slice/user-1000.slice/user@1000.service" + unit(alice), "none"},
		"a browser without a certificate": {unit(withoutCertificate), "none"},
		"an instance that exported none":  {unit(unexported), "none"},
		"two instances":                   {unit(alice) + "\n1:name=systemd:" + unit(bob), "rejected"},
		"a group that cannot be read":     {unit(alice) + "\ngarbage", "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			proc.write("1", "1:name=systemd:/init.scope\n0::/init.scope\n")
			peer, stdin := connected(t)
			proc.place(peer.Process.Pid, test.group)
			s := source
			s.Stdin, s.Holder = stdin, proc.hold(t, peer.Process.Pid)
			if got := find(t, s); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	t.Run("one that handed its connection on and exited", func(t *testing.T) {
		// Another process has its PID now, in an instance.
		peer, stdin := connected(t)
		peer.end()
		proc.write(fmt.Sprint(peer.Process.Pid), "0::"+unit(alice)+"\n")
		s := source
		s.Stdin, s.Holder = stdin, -int(unix.ESRCH)
		if got := find(t, s); got != "rejected" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("one that has exited", func(t *testing.T) {
		peer, stdin := connected(t)
		peer.end()
		s := source
		s.Stdin = stdin
		if got := find(t, s); got != "none" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("one that has exited and was not reaped", func(t *testing.T) {
		peer, stdin := connected(t)
		proc.place(peer.Process.Pid, unit(alice))
		peer.stdin.Close()
		if err := unix.Waitid(unix.P_PID, peer.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			t.Fatal(err)
		}
		s := source
		s.Stdin, s.Holder = stdin, -int(unix.ESRCH) // a zombie holds nothing
		if got := find(t, s); got != "rejected" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("one that hidepid hides", func(t *testing.T) {
		_, stdin := connected(t)
		s := source
		s.Stdin = stdin
		_, err := s.Find(context.Background())
		if outcome(Certificate{}, err) != "failed" || !strings.Contains(err.Error(), "hidepid") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("our own instance goes first", func(t *testing.T) {
		peer, stdin := connected(t)
		proc.place(peer.Process.Pid, unit(alice))
		s := source
		s.Stdin, s.Holder = stdin, proc.hold(t, peer.Process.Pid)
		for own, want := range map[string]string{unit(bob): bob, unit(withoutCertificate): "none", unit(unexported): "none"} {
			proc.write("self", "0::"+own+"\n")
			if got := find(t, s); got != want {
				t.Errorf("in %s: got %s, want %s", own, got, want)
			}
		}
		proc.write("self", "1:name=systemd:"+unit(alice)+"\n0::"+unit(bob)+"\n")
		if got := find(t, s); got != "rejected" {
			t.Errorf("in two instances: got %s", got)
		}
		proc.write("self", "garbage\n")
		if got := find(t, s); got != "failed" {
			t.Errorf("in a group that cannot be read: got %s", got)
		}
		if err := os.RemoveAll(string(proc) + "/self"); err != nil {
			t.Fatal(err)
		}
		if got := find(t, s); got != "failed" {
			t.Errorf("without a control group: got %s", got)
		}
	})
	t.Run("PID 1 cannot be read", func(t *testing.T) {
		proc := newProc(t)
		s := source
		s.Proc, s.Stdin = string(proc), -1
		for _, text := range []string{"garbage\n", ""} {
			proc.write("1", text)
			if text == "" {
				must(os.RemoveAll(string(proc) + "/1"))
			}
			proc.write("self", "0::"+unit(alice)+"\n")
			if got := find(t, s); got != "failed" {
				t.Errorf("got %s", got)
			}
			proc.write("self", "0::/\n")
			if got := find(t, s); got != "none" {
				t.Errorf("where it does not matter: got %s", got)
			}
		}
	})
	againWithoutPidfd(t, "without SO_PEERPIDFD", unix.ENOPROTOOPT)
}

// TestPeerWithoutAPidfd checks a peer that was reaped on Linux 6.5 to 6.15: the
// kernel has no pidfd for it, and another process may have its PID.
func TestPeerWithoutAPidfd(t *testing.T) {
	for name, answer := range map[string]unix.Errno{"ESRCH": unix.ESRCH, "EINVAL": unix.EINVAL} {
		againWithoutPidfd(t, name, answer)
	}
	if os.Getenv(envWithoutPidfd) == "" {
		return
	}
	if oldkernel.HasPeerPidfd() {
		t.Skip("this architecture's socket calls cannot be filtered")
	}
	proc := newProc(t)
	peer, stdin := connected(t)
	source := Source{Proc: string(proc), TLSDir: export(t), Stdin: stdin}
	for group, want := range map[string]string{
		unit(certificateAlice.Fingerprint()): "rejected",
		unit(withoutCertificate):             "none",
		"/user.slice/session-1.scope":        "none",
	} {
		proc.place(peer.Process.Pid, group)
		if got := find(t, source); got != want {
			t.Errorf("%s: got %s, want %s", group, got, want)
		}
	}
	if err := os.RemoveAll(filepath.Join(string(proc), fmt.Sprint(peer.Process.Pid))); err != nil {
		t.Fatal(err)
	}
	if got := find(t, source); got != "none" {
		t.Errorf("no process has the PID: got %s, want none", got)
	}
}

// TestStandardInputsWithoutAPeer gives the control group of an instance to the
// only process that could be mistaken for the peer: the test itself.
func TestStandardInputsWithoutAPeer(t *testing.T) {
	proc := newProc(t)
	proc.place(os.Getpid(), unit(certificateAlice.Fingerprint()))
	source := Source{Proc: string(proc), TLSDir: export(t)}

	socket := func(t *testing.T, domain, kind int) int {
		t.Helper()
		fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skipf("no such socket here: %v", err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	opened := func(t *testing.T, path string) int {
		t.Helper()
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	for name, stdin := range map[string]func(t *testing.T) int{
		"closed":     func(t *testing.T) int { return 987 },
		"no number":  func(t *testing.T) int { return -1 },
		"/dev/null":  func(t *testing.T) int { return opened(t, "/dev/null") },
		"a terminal": func(t *testing.T) int { return opened(t, "/dev/ptmx") },
		"a pipe": func(t *testing.T) int {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { read.Close(); write.Close() })
			return int(read.Fd())
		},
		"a listening Unix socket":   func(t *testing.T) int { return descriptor(t, listen(t)) },
		"an unconnected one":        func(t *testing.T) int { return socket(t, unix.AF_UNIX, unix.SOCK_STREAM) },
		"a socket for datagrams":    func(t *testing.T) int { return socket(t, unix.AF_UNIX, unix.SOCK_DGRAM) },
		"a netlink socket":          func(t *testing.T) int { return socket(t, unix.AF_NETLINK, unix.SOCK_RAW) },
		"the kernel's cryptography": func(t *testing.T) int { return socket(t, unix.AF_ALG, unix.SOCK_SEQPACKET) },
		"a connected datagram socket": func(t *testing.T) int {
			name := listen(t).Addr().String() + "d"
			receiver, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { receiver.Close() })
			sender, err := net.DialUnix("unixgram", nil, receiver.LocalAddr().(*net.UnixAddr))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { sender.Close() })
			return descriptor(t, sender)
		},
		"a connected TCP socket": func(t *testing.T) int {
			listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Skip(err)
			}
			defer listener.Close()
			client, err := net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			return descriptor(t, client)
		},
		"a listening TCP socket": func(t *testing.T) int {
			listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { listener.Close() })
			return descriptor(t, listener)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := source
			s.Stdin = stdin(t)
			if got := find(t, s); got != "none" {
				t.Errorf("got %s", got)
			}
		})
	}
	t.Run("this process itself, to show that it would be believed", func(t *testing.T) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
		s := source
		s.Stdin, s.Holder = pair[0], proc.hold(t, os.Getpid())
		if got := find(t, s); got != certificateAlice.Fingerprint() {
			t.Errorf("got %s", got)
		}
	})
}
