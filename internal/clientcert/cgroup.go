// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Cockpit's name for an instance of cockpit-ws: below systemd's own root, and
// followed by the certificate's fingerprint and ".service".
const (
	unitPath   = "/system.slice/system-cockpithttps.slice/cockpit-wsinstance-https@"
	unitSuffix = ".service"
)

// withoutCertificate is the instance for browsers that presented none: the
// SHA-256 of nothing.
const withoutCertificate = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// cgroups are the paths of one process in the hierarchies that systemd keeps
// its units in: the unified one (cgroup v2), name=systemd (v1), or both (the
// hybrid layout). A hierarchy that the process is not listed in has no path.
type cgroups struct {
	unified, named string
}

// parseCgroups reads what cgroups(7) calls /proc/PID/cgroup: lines of
// hierarchy:controllers:path, in an order that means nothing. The kernel lets
// nobody put a newline into a path.
func parseCgroups(text string) (cgroups, error) {
	var groups cgroups
	for text != "" {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return cgroups{}, errors.New("the last line is cut off")
		}
		text = rest
		number, rest, _ := strings.Cut(line, ":")
		controllers, path, _ := strings.Cut(rest, ":")
		hierarchy, err := strconv.ParseUint(number, 10, 32)
		if err != nil || !strings.HasPrefix(path, "/") {
			return cgroups{}, fmt.Errorf("malformed line %.80q", line)
		}
		var known *string
		switch {
		case hierarchy == 0 && controllers == "":
			known = &groups.unified
		case hierarchy != 0 && controllers == "name=systemd":
			known = &groups.named
		default:
			continue
		}
		if *known != "" {
			return cgroups{}, fmt.Errorf("one hierarchy is listed twice: %.80q", line)
		}
		*known = path
	}
	return groups, nil
}

// mayBeInstance tells whether one of the paths has an instance's form. It
// proves nothing yet: a user can make such a path below a group of their own.
func (g cgroups) mayBeInstance() bool {
	_, _, unified := splitUnit(g.unified)
	_, _, named := splitUnit(g.named)
	return unified || named
}

// instance returns the instance of cockpit-ws that the process belongs to, or
// nothing. PID 1's own groups say where systemd's root is in each hierarchy:
// inside a container that may not be the top.
func (g cgroups) instance(pid1 cgroups) (string, error) {
	unified := instanceBelow(systemdRoot(pid1.unified), g.unified)
	named := instanceBelow(systemdRoot(pid1.named), g.named)
	switch {
	case unified == "" || unified == named:
		return named, nil
	case named == "":
		return unified, nil
	default:
		return "", &RejectedError{Reason: "the unified and the systemd control group name two instances of cockpit-ws, " +
			unified + " and " + named}
	}
}

// systemdRoot returns the path below which systemd puts its slices: PID 1 is in
// init.scope there, or in the root itself, where an old systemd leaves it. The
// slash at the end tells the top, "/", from a hierarchy that PID 1 is not
// listed in, below which there is nothing.
func systemdRoot(pid1 string) string {
	if pid1 == "" {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(pid1, "/init.scope"), "/") + "/"
}

// instanceBelow compares the whole path: nothing may come before the root or
// after the unit.
func instanceBelow(root, path string) string {
	prefix, instance, ok := splitUnit(path)
	if !ok || root != prefix+"/" {
		return ""
	}
	return instance
}

// splitUnit takes an instance's path apart, by lengths, from its end.
func splitUnit(path string) (root, instance string, ok bool) {
	path, ok = strings.CutSuffix(path, unitSuffix)
	if !ok || len(path) < fingerprintLen {
		return "", "", false
	}
	path, instance = path[:len(path)-fingerprintLen], path[len(path)-fingerprintLen:]
	root, ok = strings.CutSuffix(path, unitPath)
	return root, instance, ok && isInstance(instance)
}

const fingerprintLen = 64 // hex digits of a SHA-256

func isInstance(s string) bool {
	if len(s) != fingerprintLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
