// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// onlineTimeout bounds the question after a NotFound; a domain whose back end
// hangs does not answer it.
const onlineTimeout = time.Second

// offline tells "no such user" from "I cannot reach the directory", for which
// SSSD has the same answer: it returns an Error that says which domain is
// offline, or nil. SSSD knows once a look-up has failed, as one just did.
func offline(ctx context.Context, conn *dbus.Conn) *Error {
	bounded, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()

	domains, err := value[[]dbus.ObjectPath](read(bounded, conn.Object(service, rootPath), service+".ListDomains").answer())
	if err != nil {
		return nil // the NotFound stands
	}
	readings := make([]*reading, len(domains))
	for i, domain := range domains {
		readings[i] = read(bounded, conn.Object(service, domain), domainInterface+".IsOnline")
	}
	for i, r := range readings {
		online, err := value[bool](r.answer())
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return domainProblem(domains[i], "does not answer", err)
		case err == nil && !online:
			return domainProblem(domains[i], "is offline", nil)
		}
	}
	return nil
}

func domainProblem(domain dbus.ObjectPath, what string, err error) *Error {
	return &Error{
		Outcome: Unavailable,
		Problem: fmt.Sprintf("SSSD found no user by this certificate, and its domain %s %s", domain, what),
		Hint:    "can this machine reach the directory server? See sssctl domain-status",
		Err:     err,
	}
}
