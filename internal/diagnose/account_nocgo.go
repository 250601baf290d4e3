// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build !cgo

package diagnose

// runAccountStack cannot run anything: libpam is a C library.
func runAccountStack(string, string) (verdictOfPAM, error) { return verdictOfPAM{}, errNoPAM }
