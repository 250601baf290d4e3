// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package escape has the steps that an attacker who has taken over the worker
// might try. Each succeeds for root, and must fail in the sandbox. They run in the
// module's faulty build and, as the control, in a process of root without a
// sandbox.
package escape

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Dir is the directory in which attempts may change files: it has a victim that
// belongs to root. The file pid there has the PID of a process that may be harmed.
const (
	Dir    = "/run/cockpit/tls"
	Victim = Dir + "/victim"
	Pid    = Dir + "/pid"
)

// Attempts returns the names of all attempts.
func Attempts() []string {
	var names []string
	for name := range attempts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Try makes an attempt; nil says that it succeeded.
func Try(name string) error {
	attempt, ok := attempts[name]
	if !ok {
		return fmt.Errorf("no such attempt: %s", name)
	}
	text, err := os.ReadFile(Pid)
	if err != nil {
		return err
	}
	victim, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return attempt(victim)
}

func open(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func socket(domain, kind int) error {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func call(number uintptr, arguments ...uintptr) error {
	a := [6]uintptr{}
	copy(a[:], arguments)
	if _, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

// owner makes the kernel signal a process when a pipe becomes readable.
func owner(victim int) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	_, err := unix.FcntlInt(uintptr(ends[0]), unix.F_SETOWN, victim)
	return err
}

var attempts = map[string]func(victim int) error{
	"make a file of root's setuid":     func(int) error { return unix.Chmod(Victim, 0o4755) },
	"give a file away":                 func(int) error { return unix.Chown(Victim, 1, 1) },
	"cut a file":                       func(int) error { return unix.Truncate(Victim, 1) },
	"cut a file when opening it":       func(int) error { return open(Victim, unix.O_RDONLY|unix.O_TRUNC) },
	"write to a file":                  func(int) error { return open(Victim, unix.O_WRONLY) },
	"create a file":                    func(int) error { return open(Dir+"/created", unix.O_WRONLY|unix.O_CREAT) },
	"set an extended attribute":        func(int) error { return unix.Setxattr(Victim, "trusted.pam_cockpit_cert", []byte("x"), 0) },
	"set a file's times":               func(int) error { return unix.Utimes(Victim, make([]unix.Timeval, 2)) },
	"make a directory":                 func(int) error { return unix.Mkdir(Dir+"/directory", 0o700) },
	"make a symbolic link":             func(int) error { return unix.Symlink("/etc/shadow", Dir+"/symbolic") },
	"make a link":                      func(int) error { return unix.Link(Victim, Dir+"/link") },
	"make a device":                    func(int) error { return unix.Mknod(Dir+"/device", unix.S_IFCHR|0o600, 1<<8|3) },
	"rename a file":                    func(int) error { return unix.Rename(Victim, Dir+"/renamed") },
	"remove a file":                    func(int) error { return unix.Unlink(Victim) },
	"read /etc/shadow":                 func(int) error { return open("/etc/shadow", unix.O_RDONLY) },
	"list /root":                       func(int) error { return open("/root", unix.O_RDONLY|unix.O_DIRECTORY) },
	"signal a process":                 func(victim int) error { return unix.Kill(victim, unix.SIGCONT) },
	"signal a thread":                  func(victim int) error { return unix.Tgkill(victim, victim, unix.SIGCONT) },
	"have the kernel signal a process": owner,
	"limit a process": func(victim int) error {
		return unix.Prlimit(victim, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 9, Max: 9}, nil)
	},
	"renice a process":                  func(victim int) error { return unix.Setpriority(unix.PRIO_PROCESS, victim, 5) },
	"trace a process":                   func(victim int) error { return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(victim)) },
	"read a process's memory":           func(victim int) error { return open(fmt.Sprintf("/proc/%d/mem", victim), unix.O_RDONLY) },
	"read a process's environment":      func(victim int) error { return open(fmt.Sprintf("/proc/%d/environ", victim), unix.O_RDONLY) },
	"open a pidfd":                      func(victim int) error { return call(unix.SYS_PIDFD_OPEN, uintptr(victim)) },
	"start a process":                   func(int) error { return exec.Command("/bin/true").Run() },
	"execute a program":                 func(int) error { return unix.Exec("/bin/true", []string{"true"}, nil) },
	"become another user":               func(int) error { return call(unix.SYS_SETUID, 1) },
	"become root for files":             func(int) error { return call(unix.SYS_SETFSUID, 0) },
	"open an IPv4 socket":               func(int) error { return socket(unix.AF_INET, unix.SOCK_STREAM) },
	"open an IPv6 socket for datagrams": func(int) error { return socket(unix.AF_INET6, unix.SOCK_DGRAM) },
	"open a packet socket":              func(int) error { return socket(unix.AF_PACKET, unix.SOCK_RAW) },
	"open a netlink socket":             func(int) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW) },
	"use io_uring":                      ioUring,
	"make a key":                        func(int) error { _, err := unix.KeyctlJoinSessionKeyring("escape"); return err },
	"mount":                             func(int) error { return unix.Mount("tmpfs", Dir, "tmpfs", 0, "") },
	"change the root directory":         func(int) error { return unix.Chroot(Dir) },
	"make a namespace":                  func(int) error { return unix.Unshare(unix.CLONE_NEWNS) },
	"make a namespace of users":         func(int) error { return call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)) },
	"create an anonymous file":          func(int) error { _, err := unix.MemfdCreate("escape", 0); return err },
	"load a program into the kernel":    bpf,
	"outlive the login process":         func(int) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) },
	"have a core written":               func(int) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
}

func ioUring(int) error {
	var parameters [120]byte
	return call(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&parameters)))
}

// bpf makes a map of one element.
func bpf(int) error {
	attributes := struct{ kind, key, value, entries uint32 }{2, 4, 4, 1}
	return call(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
}
