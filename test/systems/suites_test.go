// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

// Package systems logs in to Cockpit with certificates on booted Debian machines,
// from Cockpit 239 to the newest, over HTTPS like a browser.
package systems

import (
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
	"pam_cockpit_cert/internal/testutil/machine"
)

func TestMain(m *testing.M) { machine.Main(m) }

// suite is a Debian release, perhaps with newer packages, and how it differs from
// others.
type suite struct {
	name    string
	release string // Debian's
	// newest: with the newest Cockpit, from the release's backports.
	newest bool
	// domain has the settings of SSSD's domain of local users.
	domain string
	// relay: this Cockpit never asks PAM about a certificate by itself.
	relay bool
	// options of the module's rule.
	options string
	// virtual: its systemd supports control groups of version 2 only, so that only a
	// virtual machine is sure to boot it.
	virtual bool
	// validates: this SSSD can check a certificate before it maps it.
	validates bool
}

const proxy = "id_provider = proxy\nproxy_lib_name = files\nauth_provider = none\n"

var (
	// Cockpit 239, SSSD 2.4.
	bullseye = suite{name: "bullseye", release: "bullseye", domain: "id_provider = files\n", options: "allow_unvalidated"}
	// Cockpit 287, SSSD 2.8.
	bookworm = suite{name: "bookworm", release: "bookworm", domain: "id_provider = files\n", relay: true, validates: true}
	// Cockpit 337, SSSD 2.10.
	trixie = suite{name: "trixie", release: "trixie", domain: proxy, relay: true, validates: true}
	// The newest Cockpit.
	backports = suite{name: "backports", release: "trixie", newest: true,
		domain: proxy, relay: true, validates: true}
	// The newest SSSD and systemd.
	sid = suite{name: "sid", release: "sid", domain: proxy, relay: true, virtual: true, validates: true}
)

func (s suite) recipe() machine.Recipe {
	r := debian.Host(s.release, s.newest)
	if !s.relay {
		r.Packages = append(r.Packages, kerberos...)
	}
	if s.virtual {
		r.Packages = append(r.Packages, machine.Guest...)
	}
	return r
}
