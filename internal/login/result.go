// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package login

// Result is one of the five results of pam_cockpit_cert(8). The zero value is
// none of them, so that a result that was never set is not taken for one.
type Result int

// The results, in the manual page's order.
const (
	// Success: a certificate is present, and a user has it.
	Success Result = iota + 1
	// UserUnknown: a certificate is present, but it cannot be trusted, or SSSD
	// maps it to no user. Trying again does not help.
	UserUnknown
	// Ignore: the login has no certificate.
	Ignore
	// Unavailable: SSSD does not answer.
	Unavailable
	// ServiceError: SSSD gives an unexpected answer, or this system has a failure.
	ServiceError
)

// results has the manual page's word for each result, and PAM's name and number
// of <security/_pam_types.h>. The numbers are part of Linux-PAM's binary
// interface. This is the only table from results to PAM's codes.
var results = [...]struct {
	word, pamName string
	pamCode       uint32
}{
	Success:      {"success", "PAM_SUCCESS", 0},
	UserUnknown:  {"user_unknown", "PAM_USER_UNKNOWN", 10},
	Ignore:       {"ignore", "PAM_IGNORE", 25},
	Unavailable:  {"unavail", "PAM_AUTHINFO_UNAVAIL", 9},
	ServiceError: {"service_err", "PAM_SERVICE_ERR", 3},
}

// String returns the manual page's word for the result.
func (r Result) String() string {
	if !r.valid() {
		return "no result"
	}
	return results[r].word
}

// PAMName returns the name of PAM's code for the result.
func (r Result) PAMName() string { return results[r.orServiceError()].pamName }

// PAMCode returns PAM's code for the result.
func (r Result) PAMCode() uint32 { return results[r.orServiceError()].pamCode }

func (r Result) valid() bool { return r >= Success && r <= ServiceError }

// orServiceError replaces a value that is not a result, so that the login fails.
func (r Result) orServiceError() Result {
	if !r.valid() {
		return ServiceError
	}
	return r
}
