// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"pam_cockpit_cert/internal/diagnose"
	"pam_cockpit_cert/internal/infopipe"
)

// sessionCommand is set by the linker.
var sessionCommand = "/usr/libexec/pam_cockpit_cert/cockpit-cert-session"

// patience bounds everything that status asks others.
const patience = 30 * time.Second

func (s *settings) system() diagnose.System {
	return diagnose.System{Root: s.root, Service: "cockpit", Command: sessionCommand, Bus: infopipe.SystemBus, Now: time.Now()}
}

func statusCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Look at every link between a certificate and a login",
		Long: `Look at every link between a certificate and a login, one line for each, with
what to do where one is broken. The exit status is 0 if all is well.`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			links := s.system().Chain(ctx)
			if err := s.ui.print(links, func() { s.ui.links(links) }); err != nil {
				return err
			}
			if !diagnose.Healthy(links) {
				return errNotWell
			}
			return nil
		},
	}
}

// marks are how a state begins a line: a word that can be searched for.
var marks = map[diagnose.State]struct{ word, colour string }{
	diagnose.OK:     {"ok", "32"},
	diagnose.Broken: {"BROKEN", "31;1"},
	diagnose.Unseen: {"unseen", "33"},
	diagnose.Unused: {"-", ""},
}

func (u *ui) links(links []diagnose.Link) {
	for _, link := range links {
		mark := marks[link.State]
		u.sayf("%s %-16s %s", u.coloured(mark.colour, pad(mark.word, 7)), link.Name, link.What)
		if link.Fix != "" {
			u.sayf("%-24s -> %s", "", link.Fix)
		}
	}
}

func pad(word string, width int) string {
	for len(word) < width {
		word += " "
	}
	return word
}

// coloured wraps text in a colour of ECMA-48, if colour is wanted.
func (u *ui) coloured(colour, text string) styled {
	if !u.colour || colour == "" {
		return styled(text)
	}
	return styled("\x1b[" + colour + "m" + text + "\x1b[0m")
}
