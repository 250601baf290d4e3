// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// onlineTimeout is how long the domains have to answer after a NotFound: a domain
// whose back end hangs never answers.
const onlineTimeout = time.Second

// offline tells "no such user" from "the directory server cannot be reached":
// SSSD answers NotFound in both cases. It returns nil if every domain says that
// it is online, and otherwise an Error that says which domain does not. SSSD
// notices that a domain is offline when a look-up fails, as one just has.
//
// Any other answer counts as offline: a domain whose back end has just restarted
// answers with an error.
func offline(ctx context.Context, conn *connection) *Error {
	bounded, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()

	domains, err := listDomains(bounded, conn)
	if err != nil {
		return offlineProblem("does not say which domains it has", err)
	}
	readings := make([]*reading, len(domains))
	for i, domain := range domains {
		readings[i] = read(bounded, conn.Object(conn.sssd, domain), domainInterface+".IsOnline")
	}
	for i, r := range readings {
		switch online, err := value[bool](r.answer()); {
		case errors.Is(err, context.DeadlineExceeded):
			return offlineProblem(fmt.Sprintf("its domain %s does not answer", domains[i]), err)
		case err != nil:
			return offlineProblem(fmt.Sprintf("its domain %s does not say that it is online", domains[i]), err)
		case !online:
			return offlineProblem(fmt.Sprintf("its domain %s is offline", domains[i]), nil)
		}
	}
	return nil
}

func offlineProblem(what string, err error) *Error {
	return &Error{
		Outcome: Unavailable,
		Problem: "SSSD found no user by this certificate, and " + what,
		Hint:    "can this machine reach the directory server? See sssctl domain-status",
		Err:     err,
	}
}
