// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package clientcert finds the TLS client certificate that a browser presented
// for a login to Cockpit, with every release of Cockpit since 209.
//
// cockpit-tls runs one instance of cockpit-ws for each certificate, in a unit
// that is named after the certificate's SHA-256 fingerprint, and exports the
// certificate to a file. The package trusts the kernel alone: it reads the unit
// from the control group of this process (up to Cockpit 329, cockpit-session is
// a child of cockpit-ws), or else of the process that connected to standard
// input (from 330 on, cockpit-session is a service with a socket). It accepts
// the file only if its certificate has the fingerprint in that unit's name.
//
// The package runs at each login: it imports little, and makes no more system
// calls than it needs. SSSD validates the certificate, so that crypto/x509 is
// not needed here.
package clientcert

import (
	"context"
	"errors"
	"fmt"
)

// The directories that a Source reads by default.
const (
	Proc   = "/proc"
	TLSDir = "/run/cockpit/tls"
)

// Source says where to look for a certificate. The zero value looks at this
// system and at standard input.
type Source struct {
	Proc   string // proc(5); empty means Proc
	TLSDir string // where cockpit-tls exports certificates; empty means TLSDir
	Stdin  int    // the descriptor whose peer may be a cockpit-ws

	// Holder is used only before Linux 6.5, where the kernel cannot pin a
	// socket's peer. A positive number is a descriptor of the peer's /proc/PID,
	// opened while that process was seen to hold the other end of Stdin. A
	// negative number is the negated error: unix.ESRCH if the process does not
	// hold it. 0 means that this was not checked. See the module's peer.h.
	Holder int
}

// ErrNone says that the login has no client certificate: it does not come from
// cockpit-ws, the browser presented none, or the browser has disconnected.
var ErrNone = errors.New("no client certificate is in play")

// none returns ErrNone with the reason.
func none(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNone, fmt.Sprintf(format, args...))
}

// RejectedError says that the browser presented a certificate, and that it
// cannot be trusted. It is always used as a pointer.
type RejectedError struct {
	Reason string // why it cannot be trusted
	Err    error  // the cause, or nil
}

func (e *RejectedError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

func (e *RejectedError) Unwrap() error { return e.Err }

// Find returns the certificate that the browser presented for this login. The
// error is ErrNone if there is no certificate, and a *RejectedError if it cannot
// be trusted. Any other error is a failure of this host.
func (s Source) Find(ctx context.Context) (Certificate, error) {
	s = s.withDefaults()
	instance, err := s.instance()
	if err != nil {
		return Certificate{}, err
	}
	return s.exported(ctx, instance)
}

// ByInstance returns the certificate that cockpit-tls exported for an instance
// of cockpit-ws, which is named by 64 lower-case hex digits. The errors are
// those of Find.
func (s Source) ByInstance(ctx context.Context, instance string) (Certificate, error) {
	if !isInstance(instance) {
		return Certificate{}, fmt.Errorf("%.80q is not the name of an instance of cockpit-ws: "+
			"give a SHA-256 fingerprint, 64 lower-case hex digits", instance)
	}
	return s.withDefaults().exported(ctx, instance)
}

func (s Source) withDefaults() Source {
	if s.Proc == "" {
		s.Proc = Proc
	}
	if s.TLSDir == "" {
		s.TLSDir = TLSDir
	}
	return s
}

// instance returns the instance of cockpit-ws that this login comes from. If
// this process is inside an instance, the peer of its standard input does not
// count, because the instance chose that peer.
func (s Source) instance() (string, error) {
	own, err := s.ownInstance()
	if err != nil || own != "" {
		return own, err
	}
	return s.peerInstance()
}

func (s Source) ownInstance() (string, error) {
	self, err := openProcess(s.Proc, "self")
	if err != nil {
		return "", fmt.Errorf("reading this process's control group: %w", err)
	}
	defer self.close()
	own, err := self.cgroups()
	if err != nil {
		return "", fmt.Errorf("reading this process's control group: %w", err)
	}
	return s.instanceOf(own)
}

// instanceOf returns the instance that a process with these control groups
// belongs to, or "". It reads PID 1's control groups only if one of the paths
// looks like an instance, which saves time in logins without Cockpit.
func (s Source) instanceOf(groups cgroups) (string, error) {
	if !groups.mayBeInstance() {
		return "", nil
	}
	init, err := openProcess(s.Proc, "1")
	if err != nil {
		return "", fmt.Errorf("reading PID 1's control group: %w", err)
	}
	defer init.close()
	roots, err := init.cgroups()
	if err != nil {
		return "", fmt.Errorf("reading PID 1's control group: %w", err)
	}
	return groups.instance(roots)
}
