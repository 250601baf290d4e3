// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package ticket

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/pamhost"
)

// BenchmarkTicket measures what a ticket adds to a login, with a KDC on the same
// machine. The goal is at most 30 ms.
func BenchmarkTicket(b *testing.B) {
	startKDC(b)
	person(b, "alice", 61001, true)
	g := buildGate(b, pamhost.Built(b, "cockpit-cert-ticket"), "-O2")
	const rounds = 40
	times := map[string][]float64{}
	// In turns, so that other load of the machine affects all alike.
	kinds := []string{"no_ticket", "", "ticket_for=host@other.lab.test"}
	for range rounds {
		for _, options := range kinds {
			start := time.Now()
			report := g.login(b, options, "sre")
			times[options] = append(times[options], float64(time.Since(start).Microseconds())/1000)
			if has := variable(report, "KRB5CCNAME") != ""; has != (options != "no_ticket") {
				b.Fatalf("with %q: KRB5CCNAME is set: %v", options, has)
			}
		}
	}
	median := func(options string) float64 { slices.Sort(times[options]); return times[options][rounds/2] }
	without := median("no_ticket")
	for _, options := range kinds[1:] {
		fmt.Printf("%-42s         p50 %8.3f ms   %.3f ms more than without, %.2fx\n", "a login with a ticket "+options,
			median(options), median(options)-without, median(options)/without)
	}
}
