// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build cgo

package diagnose

import (
	"errors"
	"fmt"

	"github.com/msteinert/pam/v2"
)

// runAccountStack runs the account stack of a service for a user. Modules get no
// answers to prompts.
func runAccountStack(service, user string) (verdict verdictOfPAM, err error) {
	transaction, err := pam.StartFunc(service, user, func(style pam.Style, text string) (string, error) {
		if style == pam.ErrorMsg || style == pam.TextInfo {
			verdict.Said = append(verdict.Said, text)
			return "", nil
		}
		return "", pam.ErrConv
	})
	if err != nil {
		return verdict, fmt.Errorf("starting PAM: %w", err)
	}
	defer func() { err = errors.Join(err, transaction.End()) }()
	result := transaction.AcctMgmt(0)
	var code pam.Error
	switch {
	case result == nil:
		verdict.Code = codesOfAccount[0]
		return verdict, nil
	case !errors.As(result, &code):
		return verdict, fmt.Errorf("running the account stack: %w", result)
	}
	verdict.Text = code.Error()
	if verdict.Code = codesOfAccount[int(code)]; verdict.Code == "" {
		verdict.Code = fmt.Sprintf("PAM error %d", int(code))
	}
	return verdict, nil
}
