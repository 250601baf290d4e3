// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// wanted is the least part of a channel's speed that is to be left by
// cockpit-cert-session.
const wanted = 0.95

// What a page loads through cockpit-cert-session comes as fast as without: in
// a session by certificate, and in one by password.
func (l *lab) throughput(t *testing.T) {
	if !l.relay {
		t.Skip("this Cockpit needs no cockpit-cert-session")
	}
	var ratios []float64
	// Other things go on here, and one measurement says little.
	for round := range 10 {
		for line := range strings.Lines(l.Run(t, "sh", "-euc", load, "sh", clients+"alice", "alice:"+password)) {
			times := strings.Fields(line)
			if len(times) != 4 {
				t.Fatalf("curl says %q", line)
			}
			ratios = append(ratios, span(t, times[0:2])/span(t, times[2:4]))
		}
		slices.Sort(ratios)
		median := ratios[len(ratios)/2]
		t.Logf("after %d pairs of transfers, half of them have a ratio of at least %.2f", len(ratios), median)
		if round >= 2 && median >= wanted {
			return
		}
	}
	t.Errorf("cockpit-cert-session takes too much of a channel's speed: %.2f", ratios)
}

// span is how long the data took, in seconds: connecting is not counted.
func span(t testing.TB, times []string) float64 {
	t.Helper()
	var began, ended float64
	if _, err := fmt.Sscan(times[0]+" "+times[1], &began, &ended); err != nil || ended <= began {
		t.Fatalf("a transfer from %s to %s: %v", times[0], times[1], err)
	}
	return ended - began
}

// load prints when, in seconds, the data of a transfer without the program
// began and ended, and then those of one through it, in turn. The logins are
// fresh: without a page, a session ends after a quarter of a minute.
const load = `
	site=https://localhost:9090/cockpit
	with="--cert $1.pem --key $1.key"
	token() { sed 's/.*"csrf-token":"\([0-9a-f]*\)".*/\1/'; }
	fetch() { curl --silent --insecure --fail --max-time 120 "$@"; }
	by_password=$(fetch --cookie-jar /tmp/password --user "$2" $site/login | token)
	by_certificate=$(fetch --cookie-jar /tmp/certificate $with $site/login | token)
	channel=$(printf '{"payload":"stream","spawn":["head","-c","134217728","/dev/zero"],"binary":"raw"}' | base64 -w 0)
	for turn in 1 2 3; do
		fetch --output /dev/null --write-out '%{time_starttransfer} %{time_total} ' --cookie /tmp/password "$site/channel/$by_password?$channel"
		fetch --output /dev/null --write-out '%{time_starttransfer} %{time_total}\n' --cookie /tmp/certificate $with "$site/channel/$by_certificate?$channel"
	done`
