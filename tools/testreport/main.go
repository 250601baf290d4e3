// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command testreport is gotestsum's --post-run-command, see gotestsum's README. It
// prints how many tests passed, failed and were skipped; with -log, it first prints
// what the passed tests have logged, such as the figures that they measured.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
)

func main() {
	log := flag.Bool("log", false, "print what tests that passed have logged")
	flag.Parse()
	if err := tell(*log); err != nil {
		fmt.Fprintln(os.Stderr, "told:", err)
		os.Exit(1)
	}
}

func tell(log bool) error {
	if log {
		file, err := os.Open(os.Getenv("GOTESTSUM_JSONFILE"))
		if err != nil {
			return fmt.Errorf("opening gotestsum's events: %w", err)
		}
		defer file.Close()
		if err := logs(file, os.Stdout); err != nil {
			return fmt.Errorf("reading gotestsum's events: %w", err)
		}
	}
	var counts [3]int
	for i, name := range []string{"TESTS_TOTAL", "TESTS_FAILED", "TESTS_SKIPPED"} {
		var err error
		if counts[i], err = strconv.Atoi(os.Getenv(name)); err != nil {
			return fmt.Errorf("gotestsum's %s: %w", name, err)
		}
	}
	fmt.Printf("\ntests: %d passed, %d failed, %d skipped\n", counts[0]-counts[1]-counts[2], counts[1], counts[2])
	return nil
}

// event has the fields that are needed of an event of go doc test2json.
type event struct{ Action, Package, Test, Output string }

// logged matches the first line of what a test logged; continued matches the others.
var logged, continued = regexp.MustCompile(`^ +\w+\.go:\d+: `), regexp.MustCompile(`^ {8}`)

// logs prints what each test logged, once it has passed.
func logs(events io.Reader, out io.Writer) error {
	type test struct{ pkg, name string }
	said := map[test]string{}
	logging := map[test]bool{}
	for decoder := json.NewDecoder(events); ; {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		id := test{e.Package, e.Test}
		switch e.Action {
		case "output":
			start := logged.FindString(e.Output)
			logging[id] = start != "" || logging[id] && continued.MatchString(e.Output)
			if logging[id] {
				said[id] += "    " + e.Output[len(start):]
			}
		case "pass":
			if said[id] != "" {
				fmt.Fprintf(out, "\n%s %s\n%s", e.Package, e.Test, said[id])
			}
		}
	}
}
