// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package clientcert tells which TLS client certificate a login to Cockpit
// comes from, for every release of Cockpit since 209.
//
// cockpit-tls runs one instance of cockpit-ws for each certificate, in a unit
// that is named after the certificate's SHA-256 fingerprint, and exports the
// certificate to a file. The identity is the kernel's word alone, never a
// peer's: the unit is read from the control group of this process (up to
// Cockpit 329, cockpit-session is a child of cockpit-ws) or else of the process
// that connected to standard input (from 330 on, cockpit-session is a service
// with a socket). The file is believed because its certificate hashes to the
// name of that unit.
//
// The package runs inside a login: it imports little, and asks the kernel for
// no more than it needs. Whether the certificate is valid is SSSD's to say, so
// there is no crypto/x509 here.
package clientcert

import (
	"context"
	"errors"
	"fmt"
)

// Where the kernel and cockpit-tls put what a Source reads.
const (
	Proc   = "/proc"
	TLSDir = "/run/cockpit/tls"
)

// Source says where to look. The zero value looks at this system, and at
// standard input.
type Source struct {
	Proc   string // proc(5); empty means Proc
	TLSDir string // where cockpit-tls exports certificates; empty means TLSDir
	Stdin  int    // the descriptor whose peer may be a cockpit-ws

	// Holder matters only where the kernel cannot pin a socket's peer, before
	// Linux 6.5. Above 0 it is a descriptor of the peer's directory in proc(5),
	// opened when that process was seen to hold the other end of Stdin. A
	// negative number is the error why not, unix.ESRCH if the process does not
	// hold it; 0 says that nobody looked. See peer.c of the module.
	Holder int
}

// ErrNone says that no client certificate is in play: this is not a login from
// cockpit-ws, the browser presented none, or its connection is gone.
var ErrNone = errors.New("no client certificate is in play")

// none is ErrNone with the reason.
func none(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNone, fmt.Sprintf(format, args...))
}

// RejectedError says that a certificate is presented that cannot be trusted.
// Always used as a pointer.
type RejectedError struct {
	Reason string // what does not hold
	Err    error  // the cause, or nil
}

func (e *RejectedError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

func (e *RejectedError) Unwrap() error { return e.Err }

// Find returns the certificate that this login comes from. Where there is none
// the error is ErrNone; where one is presented and cannot be trusted, a
// *RejectedError; any other error means that this host fails us.
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

// instance returns the instance of cockpit-ws that this login comes from. A
// process inside an instance never looks at its peer: standard input is what
// the instance gave it.
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
// belongs to, or nothing. PID 1 is looked at only where that can matter, which
// is not so in the many logins that have nothing to do with Cockpit.
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
