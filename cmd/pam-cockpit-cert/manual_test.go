// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What the program has is in its manual page.
func TestTheManualPageHasEveryCommandAndOption(t *testing.T) {
	page, err := os.ReadFile("../../man/pam-cockpit-cert.8")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if name := strings.TrimPrefix(c.CommandPath(), "pam-cockpit-cert "); c.Runnable() && c.HasParent() && name != "pam" && !strings.Contains(string(page), name) {
			t.Errorf("the manual page does not have %q", name)
		}
		for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" && f.Name != "version" && !strings.Contains(string(page), "Fl -"+f.Name) {
					t.Errorf("%s: the manual page does not have --%s", c.CommandPath(), f.Name)
				}
			})
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(command(newUI(os.Stdout, os.Stderr)))
}
