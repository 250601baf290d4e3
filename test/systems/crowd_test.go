// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"fmt"
	"strings"
	"testing"
)

// A crowd logs in at once, some with the same certificate, and each session has
// to be of the certificate's user. Cockpit's own time limits may end a login on
// a busy machine, which is then tried again.
func (l *lab) crowded(t *testing.T) {
	const logins = 50
	names := users()
	script := `
		dir=$(mktemp -d); cd "$dir"; n=0
		while [ $n -lt ` + fmt.Sprint(logins) + ` ]; do
			for name; do
				n=$((n+1)); [ $n -gt ` + fmt.Sprint(logins) + ` ] || echo $n.$name
			done
		done | xargs -P ` + fmt.Sprint(logins) + ` -I {} sh -c '
			for try in 1 2 3; do
				! echo id -un | browser -cert ` + clients + `${1#*.}.pem >$1 2>>errors || break
			done' sh {}
		for file in [0-9]*; do printf '%s: ' "${file#*.}"; tr '\n' ' ' <$file; echo; done
		sed 's/^/! /' errors 2>/dev/null || :
		rm -r "$dir"`
	journal := l.Journal(t)
	out := l.Run(t, append([]string{"sh", "-euc", script, "crowd"}, names...)...)
	right := map[string]bool{}
	count, retries := 0, map[string]int{}
	for line := range strings.Lines(out) {
		if said, ok := strings.CutPrefix(line, "! "); ok {
			// A login may be too slow for Cockpit, or for us. It may not be denied.
			if strings.Contains(said, "does not belong") {
				t.Errorf("a good certificate was refused: %s", said)
			}
			if why, ok := strings.CutPrefix(said, "browser: "); ok {
				retries[strings.TrimSpace(why)]++
			}
			continue
		}
		count++
		name, said, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if said != "= in "+name+" = 0" {
			t.Errorf("%s's session: %s", name, said)
			continue
		}
		right[name] = true
	}
	if len(retries) > 0 {
		t.Logf("why logins had to be tried again, and how often: %v; our programs said:", retries)
	}
	for line := range strings.Lines(journal.Since(t)) {
		switch line = strings.TrimSpace(line); {
		case strings.Contains(line, "SSSD did not answer in time"), strings.Contains(line, "i/o timeout"):
			t.Errorf("an answer was lost: %s", line)
		case len(retries) > 0 && (strings.Contains(line, "pam_cockpit_cert(") || strings.Contains(line, "cockpit-cert-session: ")) &&
			!strings.Contains(line, " is user ") && !strings.Contains(line, "SSSD maps") && !strings.Contains(line, "asking SSSD"):
			t.Log(line)
		}
	}
	if count != logins || len(right) != len(names) {
		t.Errorf("%d logins of %d users instead of %d of %d", count, len(right), logins, len(names))
	}
	for _, name := range names {
		l.ended(t, name)
	}
}

// One certificate is asked about from many sides at once. SSSD 2.10 and later
// forgets every tenth answer then.
func (l *lab) oneUser(t *testing.T) {
	const questions = 200
	answers := l.Sh(t, `seq `+fmt.Sprint(questions)+` | xargs -P 50 -I {} sh -c '
		answer=$(pam-cockpit-cert check `+clients+`alice.pem 2>&1) && echo mapped || echo "$answer"'`)
	if n := strings.Count(answers, "mapped\n"); n != questions {
		t.Errorf("%d of %d questions had the answer alice:\n%s", n, questions, strings.ReplaceAll(answers, "mapped\n", ""))
	}
}
