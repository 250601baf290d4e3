// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"errors"
	"strings"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/sssdconf"
)

// responder returns the address of the OCSP responder that SSSD asks about a
// certificate; "" if it asks none.
func responder(this description, options sssdconf.Verification) string {
	switch {
	case options.NoOCSP || options.Off:
		return ""
	case options.Responder != "":
		return options.Responder
	case len(this.Responders) > 0:
		return this.Responders[0] // the only one that SSSD asks
	}
	return ""
}

// asks says which OCSP responder SSSD asks about a certificate; "" if it asks none.
func asks(this description, config *sssdconf.Config) string {
	options := config.Verification()
	address := responder(this, options)
	if address == "" {
		return ""
	}
	text := "SSSD asks the OCSP responder " + address
	if address == options.Responder {
		text += ", by ocsp_default_responder, " + config.VerificationAt()
	}
	return text
}

// isUndecided reports whether SSSD could not check a certificate in time.
func isUndecided(err error) bool {
	var failed *infopipe.Error
	return errors.As(err, &failed) && failed.Outcome == infopipe.Unavailable &&
		(hasName(err, "org.freedesktop.DBus.Error.Timeout") || hasName(err, "sbus.Error.Errno"))
}

// located returns the hint of a failure with the file of the authorities that this
// configuration names.
func located(hint string, config *sssdconf.Config) string {
	if config.CA() == sssdconf.DefaultCA {
		return hint
	}
	return strings.ReplaceAll(hint, sssdconf.DefaultCA, config.CA()) + "; that file is ca_db, " + config.CAAt()
}

// hintOf returns a failure's hint with the file of the authorities that the system's
// configuration names, if that can be read.
func hintOf(root string, failed *infopipe.Error) string {
	config, err := sssdconf.Read(root)
	if err != nil {
		return failed.Hint
	}
	return located(failed.Hint, config)
}
