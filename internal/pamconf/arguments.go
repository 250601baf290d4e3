// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"strconv"
	"strings"
	"time"
)

// What module/options.h has.
const (
	defaultTimeout = 15
	maxTimeout     = 600
)

// Arguments are a rule's options as the module understands them.
type Arguments struct {
	Debug            bool
	AllowUnvalidated bool
	Timeout          time.Duration
	Ignored          []string // with an error in the log
}

// ReadArguments reads them as module/options.c does.
func ReadArguments(args []string) Arguments {
	read := Arguments{Timeout: defaultTimeout * time.Second}
	for _, arg := range args {
		value, timeout := strings.CutPrefix(arg, "timeout=")
		switch {
		case arg == "debug":
			read.Debug = true
		case arg == "allow_unvalidated":
			read.AllowUnvalidated = true
		case timeout:
			seconds, err := strconv.ParseUint(value, 10, 32)
			if err != nil || seconds < 1 || seconds > maxTimeout {
				seconds = defaultTimeout
				read.Ignored = append(read.Ignored, arg)
			}
			read.Timeout = time.Duration(seconds) * time.Second
		default:
			read.Ignored = append(read.Ignored, arg)
		}
	}
	return read
}
