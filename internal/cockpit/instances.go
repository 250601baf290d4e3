// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package cockpit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/clientcert"
)

// A unit is one of Cockpit's services that read cockpit.conf when they start.
type unit struct {
	// processes counts those of the unit. In the unit of a cockpit-ws, all but one
	// belong to sessions.
	processes int
	// sessions reports whether the unit has a connection to a cockpit-session, which
	// runs outside the unit.
	sessions bool
}

func (u *unit) idle() bool { return u.processes == 1 && !u.sessions }

// webService is the unit that accepts browsers' connections, and asks for
// certificates. When it ends, every other unit ends, too.
const webService = "cockpit.service"

// Sessions says which sessions prevent that Cockpit reads its configuration again.
type Sessions struct {
	Any     bool // of any kind
	Relayed bool // through cockpit-cert-session
}

// StopIdle stops those of Cockpit's services that have no session. systemd starts
// them again, with the present configuration, for the next browser.
func StopIdle(ctx context.Context) (Sessions, error) {
	if _, err := os.Stat("/run/systemd/system"); errors.Is(err, fs.ErrNotExist) {
		return Sessions{}, nil // systemd is not running, and so no service
	}
	units, open, err := running()
	if err != nil {
		return open, err
	}
	stop := []string{"stop"}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if name == webService && !open.Any || name != webService && units[name].idle() {
			stop = append(stop, name)
		}
	}
	if len(stop) == 1 {
		return open, nil
	}
	if out, err := exec.CommandContext(ctx, "systemctl", stop...).CombinedOutput(); err != nil {
		return open, fmt.Errorf("systemctl stop: %w: %s", err, bytes.TrimSpace(out))
	}
	return open, nil
}

// running returns Cockpit's units that run, by their names, and the sessions.
func running() (map[string]*unit, Sessions, error) {
	var open Sessions
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, open, err
	}
	units := map[string]*unit{}
	of := func(process string) *unit {
		name := unitOf(process)
		if name == "" {
			return &unit{} // of another service
		}
		if units[name] == nil {
			units[name] = &unit{}
		}
		return units[name]
	}
	for _, process := range processes {
		u := of(process)
		u.processes++
		switch nameOf(process) {
		case "cockpit-cert-session"[:nameLength]:
			open.Any, open.Relayed = true, true
		case "cockpit-session":
			open.Any = true
			peer, err := peerOf(process)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it has just ended
			}
			if err != nil {
				return nil, open, fmt.Errorf("finding out which cockpit-ws has a session: %w", err)
			}
			of(peer).sessions = true
		}
	}
	for name, u := range units {
		open.Any = open.Any || name != webService && !u.idle()
	}
	return units, open, nil
}

// unitLine matches one of the units in /proc/PID/cgroup: the web service, or the
// cockpit-ws for the browsers with one certificate.
var unitLine = regexp.MustCompile(`(?m)/(cockpit\.service|` + clientcert.UnitPrefix + `[0-9a-f]{64}\.service)$`)

// unitOf returns the name of a process's unit, if it is one of Cockpit's.
func unitOf(process string) string {
	text, _ := os.ReadFile(filepath.Join(process, "cgroup")) // no text if the process has ended
	if match := unitLine.FindSubmatch(text); match != nil {
		return string(match[1])
	}
	return ""
}

// nameLength is how much of a program's name the kernel keeps.
const nameLength = 15

func nameOf(process string) string {
	text, _ := os.ReadFile(filepath.Join(process, "comm"))
	return string(bytes.TrimSuffix(text, []byte("\n")))
}

// peerOf returns the process that connected to the standard input of a
// cockpit-session: cockpit-ws or cockpit-cert-session.
func peerOf(session string) (string, error) {
	pid, err := strconv.Atoi(filepath.Base(session))
	if err != nil {
		return "", err
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return "", fs.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(pidfd)
	stdin, err := unix.PidfdGetfd(pidfd, 0, 0)
	if errors.Is(err, unix.ESRCH) {
		return "", fs.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("pidfd_getfd: %w", err)
	}
	defer unix.Close(stdin)
	peer, err := unix.GetsockoptUcred(stdin, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return "", fmt.Errorf("SO_PEERCRED: %w", err)
	}
	return filepath.Join("/proc", strconv.Itoa(int(peer.Pid))), nil
}
