// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package clientcert finds the TLS client certificate behind a login to
// Cockpit, of any release since 209.
//
// cockpit-tls runs one instance of cockpit-ws for each certificate, as a
// systemd unit that is named after the certificate's fingerprint, and exports
// the certificate in a file. Whose login it is says the kernel alone, by the
// control group of the process itself (up to Cockpit 329, cockpit-session is a
// child of cockpit-ws), or of the process at the other end of standard input
// (from 330 on it is a service with a socket). Which certificate that is says
// its fingerprint: it must be the one in the control group's name.
//
// The package is part of what starts for each login, and imports little: not
// crypto/x509 for one, for SSSD judges the certificate, not we.
package clientcert

import (
	"context"
	"errors"
	"fmt"
)

// Source says where to look. The zero value is of no use.
type Source struct {
	Proc    string // proc(5), "/proc"
	TLSDir  string // Cockpit's exported certificates, "/run/cockpit/tls"
	Stdin   int    // the descriptor whose peer may be a cockpit-ws, 0
	HostPID int    // the process that PAM was called in
}

// ErrNone says that no certificate is in play.
var ErrNone = errors.New("no client certificate is in play")

// RejectedError says that a certificate is presented and cannot be trusted.
type RejectedError struct {
	Reason string // what is wrong, or which file Err is about
	Err    error  // may be nil
}

func (e *RejectedError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

func (e *RejectedError) Unwrap() error { return e.Err }

// Find returns the certificate behind this process's login. The error is
// ErrNone, a RejectedError, or any other when this host fails us.
func (s Source) Find(ctx context.Context) (Certificate, error) {
	instance, err := s.instance()
	if err != nil {
		return Certificate{}, err
	}
	return s.exported(ctx, instance)
}

// ByInstance returns the certificate of an instance of cockpit-ws, by its
// name: 64 lower-case hex digits. Errors are as Find's.
func (s Source) ByInstance(ctx context.Context, instance string) (Certificate, error) {
	if !isInstance(instance) {
		return Certificate{}, fmt.Errorf("%.100q is not a SHA-256 fingerprint of 64 lower-case hex digits", instance)
	}
	return s.exported(ctx, instance)
}

// instance returns the one that this login comes from.
func (s Source) instance() (string, error) {
	init, err := readCgroups(s.Proc, "1")
	if err != nil {
		return "", fmt.Errorf("reading PID 1's control group: %w", err)
	}
	own, err := readCgroups(s.Proc, "self")
	if err != nil {
		return "", fmt.Errorf("reading our control group: %w", err)
	}
	instance, err := own.instance(init)
	if err != nil {
		return "", &RejectedError{Reason: "our control group", Err: err}
	}
	if instance == "" {
		instance, err = s.peerInstance(init)
		if err != nil {
			return "", err
		}
	}
	if instance == withoutCertificate {
		return "", fmt.Errorf("the browser presented none to Cockpit: %w", ErrNone)
	}
	return instance, nil
}

func (s Source) peerInstance(init cgroups) (string, error) {
	peer, err := s.peerCgroups()
	switch {
	case errors.Is(err, errNoPeer):
		return "", fmt.Errorf("this process is in no instance of cockpit-ws, and %w: %w", err, ErrNone)
	case errors.Is(err, errPeerEnded), errors.Is(err, errPeerLater):
		return "", &RejectedError{Reason: err.Error()}
	case err != nil:
		return "", fmt.Errorf("reading the control group of standard input's peer: %w", err)
	}
	instance, err := peer.instance(init)
	if err != nil {
		return "", &RejectedError{Reason: "the control group of standard input's peer", Err: err}
	}
	if instance == "" {
		return "", fmt.Errorf("neither this process nor standard input's peer is in an instance of cockpit-ws: %w", ErrNone)
	}
	return instance, nil
}
