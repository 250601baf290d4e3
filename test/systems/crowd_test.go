// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"fmt"
	"strings"
	"testing"
)

// Many users log in, some with the same certificate, until all have sessions at the
// same time. Each session has to be that of the certificate's user. On a busy
// machine a login may fail in spite of all patience, and is then tried again.
func (l *lab) crowded(t *testing.T) {
	l.patient(t)
	names := users()[:min(l.logins, others+2)]
	journal := l.Journal(t)
	out := l.Run(t, append([]string{"bash", "-euc", crowd, "crowd", fmt.Sprint(l.logins), fmt.Sprint(l.atOnce)}, names...)...)
	right := map[string]bool{}
	count, retries := 0, map[string]int{}
	for line := range strings.Lines(out) {
		if said, ok := strings.CutPrefix(line, "! "); ok {
			// A login may be too slow for Cockpit, or for this test, but not denied.
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
	said := journal.Since(t)
	if len(retries) > 0 {
		t.Logf("why logins had to be tried again, and how often: %v; our programs said:\n%s%s", retries,
			containing(said, "cockpit-cert-session: "), containing(journal.Since(t, "--priority=err"), "pam_cockpit_cert("))
	}
	if lost := containing(said, "i/o timeout"); lost != "" {
		t.Errorf("answers were lost:\n%s", lost)
	}
	if count != l.logins || len(right) != len(names) {
		t.Errorf("%d logins of %d users instead of %d of %d", count, len(right), l.logins, len(names))
	}
	for _, name := range names {
		l.ended(t, name)
	}
}

// crowd lets so many browsers log in, so many at a time, with the users' names in
// turn. Each logs out when all are in. It prints whose session each was, and what
// the browsers complained of.
const crowd = `
	logins=$1 at_once=$2; shift 2; names=("$@")
	dir=$(mktemp -d); cd "$dir"; touch errors
	# Who waits for this lock is in.
	exec 9>all_are_in; flock 9
	enter() {
		for try in 1 2 3; do
			! browser -cert ` + clients + `$2.pem >$1.$2 2>>errors < <(echo id -un; flock --shared all_are_in true) || break
		done
		touch over.$1
	}
	# No login is waited for that has failed for good.
	missing() { in=$(cat [0-9]* 2>/dev/null | grep -c "^= 0" || :); [ $((n - in)) -ge $1 ] && ! ls over.* >/dev/null 2>&1; }
	for ((n = 1; n <= logins; n++)); do
		enter $n "${names[n % $#]}" 9>&- &
		while missing $at_once; do sleep 0.5; done
	done
	n=$logins
	while missing 1; do sleep 0.5; done
	flock --unlock 9
	wait
	for file in [0-9]*; do printf '%s: ' "${file#*.}"; tr '\n' ' ' <$file; echo; done
	sed 's/^/! /' errors
	rm -r "$dir"`

// Many logins ask about one certificate at once. SSSD 2.10 and later then loses
// every tenth answer: no timeout would be long enough for who waits for it.
func (l *lab) oneUser(t *testing.T) {
	const questions = 200
	l.patient(t)
	answers := l.Sh(t, `seq `+fmt.Sprint(questions)+` | xargs -P 20 -I {} sh -c '
		answer=$(pam-cockpit-cert check `+clients+`alice.pem 2>&1) && echo mapped || echo "$answer"'`)
	if n := strings.Count(answers, "mapped\n"); n != questions {
		t.Errorf("%d of %d questions had the answer alice:\n%s", n, questions, strings.ReplaceAll(answers, "mapped\n", ""))
	}
}
