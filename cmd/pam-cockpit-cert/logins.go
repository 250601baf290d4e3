// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/journal"
)

func loginsCommand(s *settings) *cobra.Command {
	var follow bool
	var count int
	c := &cobra.Command{
		Use:   "logins",
		Short: "List the last logins with a certificate, and why some were refused",
		Long: `List the last logins with a certificate, the newest last: when, what became of
it, whose it was, the browser's address, and the beginning of the certificate's
SHA-256. A refused login has the reason, and what to do about it.

They are read from systemd's journal, as far back as it goes.`,
		Example: "  pam-cockpit-cert logins --count 5\n" +
			"  pam-cockpit-cert logins --json | jq '.[] | select(.state == \"refused\")'",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if count < 1 {
				return &usageError{errors.New("--count must be 1 or more")}
			}
			if follow && s.root != "/" {
				return &usageError{errors.New("nothing happens in another system's journal: --follow cannot be used with --root")}
			}
			ctx, stop := signal.NotifyContext(c.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			logs := journal.Journal{Root: s.root}
			if follow {
				return s.follow(ctx, logs)
			}
			logins, err := logs.Logins(ctx, count, func(journal.Login) bool { return true })
			if err != nil {
				return err
			}
			if logins == nil {
				logins = []journal.Login{} // not null in JSON
			}
			return s.ui.print(logins, func() { s.ui.logins(logins) })
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with the logins that are to come, until interrupted")
	c.Flags().IntVarP(&count, "count", "n", 20, "list the last `NUMBER` logins")
	noFiles(c, "count")
	return c
}

// follow lists logins as they come; in JSON, each is an object on its own line.
func (s *settings) follow(ctx context.Context, logs journal.Journal) error {
	lines := json.NewEncoder(s.ui.out)
	lines.SetEscapeHTML(false)
	err := logs.Follow(ctx, func(login journal.Login) error {
		if s.ui.json {
			return lines.Encode(login)
		}
		s.ui.login(login)
		return s.ui.out.err
	})
	if ctx.Err() != nil {
		return nil // interrupted
	}
	return err
}

func (u *ui) logins(logins []journal.Login) {
	if len(logins) == 0 {
		u.warnf("the journal has no login with a certificate; is the rule in use? See pam-cockpit-cert status")
	}
	for _, login := range logins {
		u.login(login)
	}
}

// loginMarks has the word and the colour of each state in the list.
var loginMarks = map[journal.State]struct{ word, colour string }{
	journal.Accepted:   {"accepted", "32"},
	journal.Refused:    {"REFUSED", "31;1"},
	journal.Unfinished: {"unfinished", "33"},
}

// short is how many digits of a fingerprint a list shows.
const short = 16

func (u *ui) login(login journal.Login) {
	mark := loginMarks[login.State]
	u.sayf("%s  %s  %-10s  %-15s  %.*s", login.Time.Local().Format(time.DateTime), u.coloured(mark.colour, fmt.Sprintf("%-10s", mark.word)),
		shown(login.User), shown(login.From), short, shown(login.Fingerprint))
	if login.State == journal.Refused && login.Subject != "" {
		u.sayf("%-19s  certificate of %s", "", login.Subject)
	}
	if login.Reason != "" {
		u.sayf("%-19s  %s", "", login.Reason)
	}
	if login.Next != "" {
		u.sayf("%-19s  -> %s", "", login.Next)
	}
}

// shown returns the text of a column, with a mark for an empty one.
func shown(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
