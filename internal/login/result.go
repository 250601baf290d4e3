// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package login

// Result is one of the five results of pam_cockpit_cert(8). The zero value is
// none of them, so that a forgotten result cannot pass for one.
type Result int

// The results, in the manual page's order.
const (
	// Success: a certificate is present, and a user has it.
	Success Result = iota + 1
	// UserUnknown: a certificate is present, and SSSD cannot map it, or it
	// cannot be trusted. A definitive failure.
	UserUnknown
	// Ignore: no certificate is in play.
	Ignore
	// Unavailable: SSSD does not answer.
	Unavailable
	// ServiceError: SSSD answers what it never should, or this system fails us.
	ServiceError
)

// String returns the manual page's word for the result.
func (r Result) String() string {
	switch r {
	case Success:
		return "success"
	case UserUnknown:
		return "user_unknown"
	case Ignore:
		return "ignore"
	case Unavailable:
		return "unavail"
	case ServiceError:
		return "service_err"
	default:
		return "no result"
	}
}
