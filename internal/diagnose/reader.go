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

	"pam_cockpit_cert/internal/safefile"
)

// reader has the rights of a process that has to read a file.
type reader struct {
	uid  uint32
	gids []uint32
	all  bool // it has a capability to read every file
}

// sssdReader returns the process of SSSD that checks certificates, or else SSSD
// itself. Since SSSD 2.10 it may not run as root, or run as root without the
// capability to read every file.
func sssdReader() (reader, bool) {
	for _, program := range []string{"sssd_ifp", "sssd"} {
		if found := processes(program); len(found) > 0 {
			return found[0], true
		}
	}
	return reader{}, false
}

// processes returns the processes of a program.
func processes(program string) []reader {
	var found []reader
	for _, dir := range running(program) {
		text, err := os.ReadFile(filepath.Join(dir, "status"))
		if err == nil && !strings.Contains(string(text), "\nState:\tZ") { // one that has ended
			found = append(found, readerOf(string(text)))
		}
	}
	return found
}

// commandLines returns the command lines of a program's processes.
func commandLines(program string) [][]string {
	var lines [][]string
	for _, dir := range running(program) {
		if text, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil && len(text) > 0 {
			lines = append(lines, strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"))
		}
	}
	return lines
}

// environment returns the values of a variable in the environments of a program's
// processes.
func environment(program, variable string) []string {
	var values []string
	for _, dir := range running(program) {
		text, _ := os.ReadFile(filepath.Join(dir, "environ")) // only root may read it
		for _, entry := range strings.Split(string(text), "\x00") {
			if name, value, _ := strings.Cut(entry, "="); name == variable {
				values = append(values, value)
			}
		}
	}
	return values
}

// running returns the directories in /proc of a program's processes, without those in
// containers.
func running(program string) []string {
	ours, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return nil
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil
	}
	var found []string
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err != nil || strings.TrimSpace(string(comm)) != program {
			continue
		}
		dir := filepath.Dir(name)
		if theirs, err := os.Readlink(filepath.Join(dir, "ns/pid")); err == nil && theirs == ours {
			found = append(found, dir)
		}
	}
	return found
}

// readerOf parses a process's status, see proc(5).
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
			r.uid = ids[3] // the one for access to files
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

// anyone is a user who owns nothing, and is in no group.
var anyone = reader{uid: 1<<32 - 2, gids: nil}

// access is the access that a process needs to a file or directory.
type access uint32

// The bits of a mode, for others.
const (
	toRead   access = 0o4
	toSearch access = 0o1 // to search a directory, or to execute a program
)

// stopped returns the path that the process may not access when it reads or executes
// a file of a root, and the mode for chmod(1): the path is the file, or a directory of
// its name or of a link's target; "" if the process may access all of them.
func (r reader) stopped(root, name string, wanted access) (at, mode string) {
	path, err := safefile.Resolve(root, name)
	if err != nil {
		return "", ""
	}
	for _, file := range []string{filepath.Join(root, name), path} {
		for _, dir := range parents(root, file) {
			if !r.may(dir, toSearch) {
				return dir, "o+x"
			}
		}
	}
	if !r.may(path, wanted) {
		return path, map[access]string{toRead: "644", toSearch: "755"}[wanted]
	}
	return "", ""
}

// parents returns the directories of a path below a root, the outermost first.
func parents(root, path string) []string {
	var dirs []string
	for dir := filepath.Dir(path); len(dir) > len(root) || dir == root; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == root {
			break
		}
	}
	slices.Reverse(dirs)
	return dirs
}

// may reports whether the mode of a file or directory allows the process this access.
// With an access control list, it assumes so.
func (r reader) may(path string, wanted access) bool {
	var stat unix.Stat_t
	if r.all || unix.Stat(path, &stat) != nil {
		return true
	}
	if size, err := unix.Getxattr(path, "system.posix_acl_access", nil); err == nil && size > 0 {
		return true
	}
	bits := stat.Mode
	switch {
	case stat.Uid == r.uid:
		bits >>= 6
	case slices.Contains(r.gids, stat.Gid):
		bits >>= 3
	}
	return bits&uint32(wanted) != 0
}
