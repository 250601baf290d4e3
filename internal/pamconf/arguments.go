// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The values of module/options.h.
const (
	defaultTimeout = 15
	maxTimeout     = 600
	maxTicketFor   = 16
)

// Arguments are a rule's options as the module understands them.
type Arguments struct {
	Debug            bool
	AllowUnvalidated bool
	Timeout          time.Duration
	NoTicket         bool
	Accepted         bool // the rule asks about a login that an earlier one accepted
	TicketFor        []string
	Ignored          []string // the module logs an error about these
}

const (
	optionAccepted = "accepted"
	optionRefused  = "refused" // accepted, and another module has refused it since
)

var (
	// serviceName matches a service of ticket_for.
	serviceName = regexp.MustCompile(`^[A-Za-z0-9._][A-Za-z0-9._-]*@[A-Za-z0-9._-]+$`)
	// granting matches the service of ticket-granting tickets, which users do not get.
	granting = regexp.MustCompile(`^(?i:krbtgt)@`)
)

// maxService is the length of the longest service.
const maxService = 250

// ReadArguments reads a rule's options like module/options.c.
func ReadArguments(args []string) Arguments {
	read := Arguments{Timeout: defaultTimeout * time.Second}
	for _, arg := range args {
		value, timeout := strings.CutPrefix(arg, "timeout=")
		name, ticketFor := strings.CutPrefix(arg, "ticket_for=")
		switch {
		case arg == "debug":
			read.Debug = true
		case arg == "allow_unvalidated":
			read.AllowUnvalidated = true
		case arg == "no_ticket":
			read.NoTicket = true
		case arg == optionAccepted, arg == optionRefused:
			read.Accepted = true
		case ticketFor:
			same := func(other string) bool { return strings.EqualFold(other, name) }
			switch {
			case len(name) > maxService, !serviceName.MatchString(name), granting.MatchString(name):
				read.Ignored = append(read.Ignored, arg)
			case slices.ContainsFunc(read.TicketFor, same):
			case len(read.TicketFor) == maxTicketFor:
				read.Ignored = append(read.Ignored, arg)
			default:
				read.TicketFor = append(read.TicketFor, name)
			}
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
