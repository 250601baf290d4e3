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

// Data that a page loads through cockpit-cert-session is unchanged. The speed, as a
// part of that of a session by password, which does not use it, is only printed:
// other programs use this machine, too.
func (l *lab) transfer(t *testing.T) {
	if !l.relay {
		t.Skip("this Cockpit needs no cockpit-cert-session")
	}
	journal := l.Journal(t)
	var ratios []float64
	for line := range strings.Lines(l.Run(t, "sh", "-euc", load, "sh", clients+"alice", "alice:"+password)) {
		times := strings.Fields(line)
		if len(times) != 4 {
			t.Fatalf("curl says %q", line)
		}
		ratios = append(ratios, span(t, times[0:2])/span(t, times[2:4]))
	}
	if len(ratios) != 10 {
		t.Errorf("%d pairs of transfers, not 10", len(ratios))
	}
	slices.Sort(ratios)
	t.Logf("of %d pairs of transfers, half have at least %.2f of the speed without cockpit-cert-session: %.2f",
		len(ratios), ratios[len(ratios)/2], ratios)
	if complaints := containing(journal.Since(t), "cockpit-cert-session: "); complaints != "" {
		t.Errorf("cockpit-cert-session complains:\n%s", complaints)
	}
}

// span returns how long the data took, in seconds, without connecting.
func span(t testing.TB, times []string) float64 {
	t.Helper()
	var began, ended float64
	if _, err := fmt.Sscan(times[0]+" "+times[1], &began, &ended); err != nil || ended <= began {
		t.Fatalf("a transfer from %s to %s: %v", times[0], times[1], err)
	}
	return ended - began
}

// load prints, in turn, when the data of a transfer without the program began and
// ended, in seconds, and the same of one through it. Each turn logs in again, because
// without a page Cockpit ends a session after 15 s, even during a transfer.
const load = `
	site=https://localhost:9090/cockpit
	with="--cert $1.pem --key $1.key"
	user=$2
	token() { sed 's/.*"csrf-token":"\([0-9a-f]*\)".*/\1/'; }
	fetch() { curl --silent --show-error --insecure --fail --max-time 120 "$@"; }
	by_password() { password=$(fetch --cookie-jar /tmp/password --user "$user" $site/login | token); }
	by_certificate() { certificate=$(fetch --cookie-jar /tmp/certificate $with $site/login | token); }
	# Numbers, so that what is lost, doubled or swapped shows.
	bytes=134217728
	sum=$(seq 100000000 | head -c $bytes | sha256sum)
	seq 100000000 | head -c $bytes >/tmp/data; chmod 644 /tmp/data
	channel() { printf '{"payload":"stream","spawn":%s,"binary":"raw"}' "$1" | base64 -w 0; }
	data=$(channel '["cat","/tmp/data"]')
	by_certificate
	got=$(fetch --cookie /tmp/certificate $with "$site/channel/$certificate?$data" | sha256sum)
	[ "$got" = "$sum" ] || { echo "the data came as $got, not $sum" >&2; exit 1; }
	zeros=$(channel '["head","-c","134217728","/dev/zero"]')
	for turn in 1 2 3 4 5 6 7 8 9 10; do
		by_password
		fetch --output /dev/null --write-out '%{time_starttransfer} %{time_total} ' --cookie /tmp/password "$site/channel/$password?$zeros"
		by_certificate
		fetch --output /dev/null --write-out '%{time_starttransfer} %{time_total}\n' --cookie /tmp/certificate $with "$site/channel/$certificate?$zeros"
	done`
