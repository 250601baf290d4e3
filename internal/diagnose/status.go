// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package diagnose says why a login with a certificate works or does not: status
// looks at every link of the chain between a certificate in the browser and a
// login to Cockpit, and check asks about one certificate exactly as a login would.
// Both say how to fix what is broken, work with half of the chain missing, and as
// an ordinary user, who does not see all of it.
package diagnose

import (
	"context"
	"os"
	"time"
)

// State is how a link is.
type State string

// The states.
const (
	OK     State = "ok"
	Broken State = "broken"
	Unseen State = "unseen" // we could not look
	Unused State = "unused" // nothing depends on it here
)

// Link is one of the chain.
type Link struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	What  string `json:"what"`          // as it is
	Fix   string `json:"fix,omitempty"` // what to do, if something is
}

func ok(name, what string) Link          { return Link{name, OK, what, ""} }
func broken(name, what, fix string) Link { return Link{name, Broken, what, fix} }
func unseen(name, what, fix string) Link { return Link{name, Unseen, what, fix} }
func unused(name, what string) Link      { return Link{name, Unused, what, ""} }

// System is what is looked at.
type System struct {
	Root    string // usually "/"
	Service string // the PAM service, usually "cockpit"
	Command string // where cockpit-cert-session is installed
	Bus     string // D-Bus address of the system bus
	Now     time.Time
}

// here reports whether the system is the one that we run on, so that its
// kernel and its services can be asked.
func (s System) here() bool { return s.Root == "/" }

// call is a call of ours that does something about this system.
func (s System) call(args string) string {
	if s.here() {
		return "pam-cockpit-cert " + args
	}
	return "pam-cockpit-cert --root " + s.Root + " " + args
}

// elsewhere is what is said of those, where they cannot.
const elsewhere = "only the running system can tell"

// Chain looks at everything, in the order in which a login needs it.
func (s System) Chain(ctx context.Context) []Link {
	release, releaseLink := s.cockpit(ctx)
	links := []Link{releaseLink, s.certificates(), s.command(release)}
	rule, ruleLink := s.rule()
	links = append(links, ruleLink, s.module(ctx, release, rule))
	links = append(links, s.sssd(ctx), s.authorities(), s.cgroups(), s.selinux(), s.tickets())
	return links
}

// Healthy reports whether nothing is broken, nor hidden from us.
func Healthy(links []Link) bool {
	for _, link := range links {
		if link.State == Broken || link.State == Unseen {
			return false
		}
	}
	return true
}

// asRoot is what an ordinary user can do about what it cannot see.
func asRoot() string {
	if os.Geteuid() == 0 {
		return ""
	}
	return "try again as root"
}
