// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// What cockpit-tls's units are called, in every release.
const (
	unitPrefix = "/system.slice/system-cockpithttps.slice/cockpit-wsinstance-https@"
	unitSuffix = ".service"

	instanceLength = 64

	// withoutCertificate is the instance for browsers that presented none: the
	// SHA-256 of nothing.
	withoutCertificate = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// maxCgroupFile bounds what is read of /proc/PID/cgroup, in bytes: a dozen
// hierarchies with paths of PATH_MAX.
const maxCgroupFile = 64 << 10

// cgroups are the two paths of a process by which systemd knows its unit, see
// cgroups(7): of the unified hierarchy, and of version 1's name=systemd. A
// host has the one, the other, or, in the hybrid layout, both.
type cgroups struct {
	unified, systemd string // "" where the hierarchy does not exist
}

// parseCgroups reads the text of /proc/PID/cgroup.
func parseCgroups(text string) (cgroups, error) {
	var c cgroups
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		id, controllersAndPath, ok1 := strings.Cut(line, ":")
		controllers, path, ok2 := strings.Cut(controllersAndPath, ":")
		if !ok1 || !ok2 || path == "" {
			return cgroups{}, fmt.Errorf("malformed line %.100q", line)
		}
		var to *string
		switch {
		case id == "0" && controllers == "":
			to = &c.unified
		case controllers == "name=systemd":
			to = &c.systemd
		default:
			continue
		}
		if *to != "" {
			return cgroups{}, fmt.Errorf("second line for the same hierarchy: %.100q", line)
		}
		*to = path
	}
	return c, nil
}

// readCgroups returns those of the process, a number or "self".
func readCgroups(proc, process string) (cgroups, error) {
	path := proc + "/" + process + "/cgroup"
	file, err := os.Open(path)
	if err != nil {
		return cgroups{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCgroupFile+1))
	if err != nil {
		return cgroups{}, err
	}
	if len(text) > maxCgroupFile {
		return cgroups{}, fmt.Errorf("%s: more than %d bytes", path, maxCgroupFile)
	}
	c, err := parseCgroups(string(text))
	if err != nil {
		return cgroups{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// errDisagree is what two hierarchies that name different instances come to.
var errDisagree = errors.New("the two control group hierarchies name different instances of cockpit-ws")

// instance returns the instance of cockpit-ws that a process with these
// control groups belongs to, or "". init is PID 1's: below its own group, less
// systemd's /init.scope, lies the /system.slice that only systemd can fill.
// The same path below a group that is delegated to a user proves nothing.
func (c cgroups) instance(init cgroups) (string, error) {
	unified := instanceOf(c.unified, init.unified)
	systemd := instanceOf(c.systemd, init.systemd)
	switch {
	case unified == "":
		return systemd, nil
	case systemd == "" || systemd == unified:
		return unified, nil
	default:
		return "", errDisagree
	}
}

func instanceOf(path, initPath string) string {
	root := strings.TrimSuffix(strings.TrimSuffix(initPath, "/init.scope"), "/")
	unit, ok := strings.CutPrefix(path, root)
	if !ok || initPath == "" {
		return ""
	}
	unit, ok = strings.CutPrefix(unit, unitPrefix)
	if !ok {
		return ""
	}
	instance, ok := strings.CutSuffix(unit, unitSuffix)
	if !ok || !isInstance(instance) {
		return ""
	}
	return instance
}

// isInstance tells whether it is 64 lower-case hex digits.
func isInstance(s string) bool {
	if len(s) != instanceLength {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
