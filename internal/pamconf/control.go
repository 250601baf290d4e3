// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// spaces are the characters of isspace(3), which libpam uses within brackets.
const spaces = " \t\n\v\f\r"

// returns are the codes that a control may name, see pam.d(5). No code is a prefix of
// another one.
var returns = []string{
	"success", "open_err", "symbol_err", "service_err", "system_err", "buf_err", "perm_denied", "auth_err",
	"cred_insufficient", "authinfo_unavail", "user_unknown", "maxtries", "new_authtok_reqd", "acct_expired",
	"session_err", "cred_unavail", "cred_expired", "cred_err", "no_module_data", "conv_err", "authtok_err",
	"authtok_recover_err", "authtok_lock_busy", "authtok_disable_aging", "try_again", "ignore", "abort",
	"authtok_expired", "module_unknown", "bad_item", "conv_again", "incomplete", "default",
}

var actions = []string{"ignore", "ok", "done", "bad", "die", "reset"}

// outcome is what a control does with one value that a module returns: an action
// by its name, or a jump over a number of rules.
type outcome struct {
	value, action string
	jump          int
}

// parseControl parses `value=action ...` like libpam.
func parseControl(text string) (outcomes []outcome, err error) {
	for {
		text = strings.TrimLeft(text, spaces)
		if text == "" {
			return outcomes, nil
		}
		var this outcome
		var ok bool
		if this.value, text, ok = cutAny(text, returns); !ok {
			return nil, fmt.Errorf("%.60q does not begin with a return value of pam.d(5)", text)
		}
		if text, ok = strings.CutPrefix(strings.TrimLeft(text, spaces), "="); !ok {
			return nil, errors.New("a return value is not followed by '='")
		}
		text = strings.TrimLeft(text, spaces)
		if action, rest, ok := cutAny(text, actions); ok {
			this.action, text = action, rest
			outcomes = append(outcomes, this)
			continue
		}
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		if digits == 0 {
			return nil, fmt.Errorf("%.60q does not begin with an action of pam.d(5)", text)
		}
		jump, err := strconv.ParseInt(text[:digits], 10, 31)
		if err != nil || jump == 0 {
			return nil, fmt.Errorf("%.60q is not a number of rules to jump over", text[:digits])
		}
		this.jump, text = int(jump), text[digits:]
		outcomes = append(outcomes, this)
	}
}

// cutAny cuts off the prefix with which the text begins.
func cutAny(text string, prefixes []string) (prefix, rest string, ok bool) {
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			return prefix, rest, true
		}
	}
	return "", text, false
}
