// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pam_cockpit_cert/internal/diagnose"
	"pam_cockpit_cert/internal/journal"
	"pam_cockpit_cert/internal/pamconf"
)

// The manual page has every command and option.
func TestTheManualPageHasEveryCommandAndOption(t *testing.T) {
	page, err := os.ReadFile("../../man/pam-cockpit-cert.8")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "Fl -help , h\n") || !strings.Contains(string(page), "Fl v ,\n") {
		t.Error("the manual page does not have -h and -v")
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if name := strings.TrimPrefix(c.CommandPath(), "pam-cockpit-cert "); c.Runnable() && c.HasParent() && name != "pam" && !strings.Contains(string(page), name) {
			t.Errorf("the manual page does not have %q", name)
		}
		for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				if !strings.Contains(string(page), "Fl -"+f.Name) && !strings.Contains(string(page), "| -"+f.Name) {
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

// Help fits into a terminal of 80 columns.
func TestHelpIsNarrow(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		var help strings.Builder
		c.SetOut(&help)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(help.String(), "Usage:") {
			t.Errorf("%s has this help: %q", c.CommandPath(), help.String())
		}
		for line := range strings.Lines(help.String()) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > 80 {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), len(line), line)
			}
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(command(newUI(os.Stdout, os.Stderr)))
}

// The manual page has every member of the JSON, so that programs can rely on it.
func TestTheManualPageHasEveryMemberOfTheJSON(t *testing.T) {
	page, err := os.ReadFile("../../man/pam-cockpit-cert.8")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), ".Sh JSON\n")
	section, _, _ = strings.Cut(section, ".Sh ")
	for _, value := range []any{diagnose.Report{}, diagnose.Check{}, diagnose.Fix{}, diagnose.CertificateReport{}, journal.Login{}, explanation{}, journal.Entry{}, enabled{}, disabled{}, pamconf.Report{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(value)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.Anonymous && field.IsExported() && name != "-" && (name == "" || !strings.Contains(section, ".Ql "+name)) {
				t.Errorf("%T: the manual page does not have %q, of %s", value, name, field.Name)
			}
		}
	}
	for _, state := range []diagnose.State{diagnose.OK, diagnose.Warning, diagnose.Broken, diagnose.Unknown} {
		if !strings.Contains(section, ".Ql "+string(state)) {
			t.Errorf("the manual page does not have the state %s", state)
		}
	}
}
