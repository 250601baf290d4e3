// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build !cgo

package diagnose

import "errors"

// runAccountStack cannot run anything: libpam is a C library.
func runAccountStack(string, string) (verdictOfPAM, error) {
	return verdictOfPAM{}, errors.New("this pam-cockpit-cert was built without PAM")
}
