// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxProcText is the largest text of a process, in bytes. The longest that the
// kernel writes is /proc/PID/cgroup: a path of at most 4096 bytes for each of
// about a dozen hierarchies.
const maxProcText = 64 << 10

// process is an open /proc/PID. It refers to the process for which it was opened:
// once that was reaped, reading fails, even if another process has the PID.
type process struct {
	fd   int
	path string
}

func openProcess(proc, pid string) (process, error) {
	path := proc + "/" + pid
	fd, err := open(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return process{}, fmt.Errorf("opening %s: %w", path, err)
	}
	return process{fd, path}, nil
}

func (p process) close() { unix.Close(p.fd) }

// text returns the content of one of the process's files.
func (p process) text(name string) (string, error) {
	fd, err := open(p.fd, name, unix.O_RDONLY)
	if err != nil {
		return "", fmt.Errorf("opening %s/%s: %w", p.path, name, err)
	}
	defer unix.Close(fd)
	text, err := readAll(fd, 4096, maxProcText)
	if err != nil {
		return "", fmt.Errorf("reading %s/%s: %w", p.path, name, err)
	}
	if len(text) > maxProcText {
		return "", fmt.Errorf("%s/%s has more than %d bytes", p.path, name, maxProcText)
	}
	return string(text), nil
}

func (p process) cgroups() (cgroups, error) {
	text, err := p.text("cgroup")
	if err != nil {
		return cgroups{}, err
	}
	groups, err := parseCgroups(text)
	if err != nil {
		return cgroups{}, fmt.Errorf("%s/cgroup: %w", p.path, err)
	}
	return groups, nil
}

// gone tells whether the error says that a process does not exist.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}
