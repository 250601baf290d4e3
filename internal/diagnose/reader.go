// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reader is a process that has to read a file.
type reader struct {
	uid  uint32
	gids []uint32
	all  bool // it has a capability to read everything
}

// sssdReader is the process of SSSD that has certificates checked, or else SSSD
// itself. Since SSSD 2.10 that is not root everywhere, or it is root without the
// capability to read everything. One in a container on this system is not meant.
func sssdReader() (reader, bool) {
	ours, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return reader{}, false
	}
	for _, program := range []string{"sssd_ifp", "sssd"} {
		names, err := filepath.Glob("/proc/[0-9]*/comm")
		if err != nil {
			return reader{}, false
		}
		for _, name := range names {
			comm, err := os.ReadFile(name)
			if err != nil || strings.TrimSpace(string(comm)) != program {
				continue
			}
			dir := filepath.Dir(name)
			if theirs, err := os.Readlink(filepath.Join(dir, "ns/pid")); err != nil || theirs != ours {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, "status"))
			if err == nil && !strings.Contains(string(text), "\nState:\tZ") { // one that has ended
				return readerOf(string(text)), true
			}
		}
	}
	return reader{}, false
}

// readerOf reads a process's status, see proc(5).
func readerOf(status string) reader {
	var r reader
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		var ids []uint32
		for _, field := range strings.Fields(value) {
			if id, err := strconv.ParseUint(field, 10, 32); err == nil {
				ids = append(ids, uint32(id))
			}
		}
		switch {
		case key == "Uid" && len(ids) == 4:
			r.uid = ids[3] // the file system's
		case key == "Gid" && len(ids) == 4:
			r.gids = append(r.gids, ids[3])
		case key == "Groups":
			r.gids = append(r.gids, ids...)
		case key == "CapEff":
			set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			r.all = err == nil && set&(1<<unix.CAP_DAC_OVERRIDE|1<<unix.CAP_DAC_READ_SEARCH) != 0
		}
	}
	return r
}

// may reports whether the mode of a file lets the process read it. Where there
// is an access control list as well, it says yes.
func (r reader) may(path string) bool {
	var stat unix.Stat_t
	if r.all || unix.Stat(path, &stat) != nil {
		return true
	}
	if size, err := unix.Getxattr(path, "system.posix_acl_access", nil); err == nil && size > 0 {
		return true
	}
	switch {
	case stat.Uid == r.uid:
		return stat.Mode&unix.S_IRUSR != 0
	case slices.Contains(r.gids, stat.Gid):
		return stat.Mode&unix.S_IRGRP != 0
	}
	return stat.Mode&unix.S_IROTH != 0
}
