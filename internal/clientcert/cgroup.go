// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// An instance of cockpit-ws has the certificate's fingerprint between these two in the
// name of its unit.
const (
	UnitPrefix = "cockpit-wsinstance-https@"
	UnitSuffix = ".service"
)

// unitPath is the path of an instance's control group up to the fingerprint, below
// systemd's root.
const unitPath = "/system.slice/system-cockpithttps.slice/" + UnitPrefix

// withoutCertificate is the instance for browsers that presented no
// certificate: the SHA-256 of an empty string.
const withoutCertificate = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// cgroups are a process's control groups in the hierarchies in which systemd
// keeps its units: the unified one (cgroup v2), name=systemd (v1), or both (the
// hybrid layout). The path is empty if the process is not in that hierarchy.
type cgroups struct {
	unified, named string
}

// parseCgroups parses /proc/PID/cgroup, see cgroups(7): lines of
// hierarchy:controllers:path, whose order has no meaning. The kernel rejects
// newlines in the name of a control group.
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

// mayBeInstance tells whether one of the paths has an instance's form. That
// proves nothing: any user with a delegated control group can make such a path
// below it.
func (g cgroups) mayBeInstance() bool {
	_, _, unified := splitUnit(g.unified)
	_, _, named := splitUnit(g.named)
	return unified || named
}

// instance returns the instance of cockpit-ws that the process belongs to, or
// "". PID 1's control groups tell where systemd's root is in each hierarchy: in
// a container it may not be the top.
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

// systemdRoot returns the path below which systemd puts its slices. PID 1 is in
// init.scope there; an old systemd leaves it in the root itself. The slash at
// the end tells the top, "/", from "" for a hierarchy without PID 1, below which
// no path counts.
func systemdRoot(pid1 string) string {
	if pid1 == "" {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(pid1, "/init.scope"), "/") + "/"
}

// instanceBelow returns the instance in a path that consists of the root, the
// slice and the unit, and nothing else; otherwise "".
func instanceBelow(root, path string) string {
	prefix, instance, ok := splitUnit(path)
	if !ok || root != prefix+"/" {
		return ""
	}
	return instance
}

// splitUnit splits an instance's path into root and fingerprint. It counts from
// the end, because the lengths of unit and slice are fixed.
func splitUnit(path string) (root, instance string, ok bool) {
	path, ok = strings.CutSuffix(path, UnitSuffix)
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
