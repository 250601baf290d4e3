// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package systems

import (
	"fmt"
	"strings"
	"testing"
)

// Many log in at the same time, some of them twice or more. Each session has
// to be of the certificate's user.
func (l *lab) crowd(t *testing.T) {
	const logins = 50
	names := users()
	script := `
		dir=$(mktemp -d); cd "$dir"; n=0
		while [ $n -lt ` + fmt.Sprint(logins) + ` ]; do
			for name; do
				n=$((n+1)); [ $n -le ` + fmt.Sprint(logins) + ` ] || break
				echo id -un | browser -cert ` + clients + `$name.pem >$n.$name 2>&1 &
			done
		done
		wait
		for file in *; do printf '%s: ' "${file#*.}"; tr '\n' ' ' <$file; echo; done
		rm -r "$dir"`
	out := l.Run(t, append([]string{"sh", "-euc", script, "crowd"}, names...)...)
	right := map[string]bool{}
	count := 0
	for line := range strings.Lines(out) {
		count++
		name, said, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if said != "= in "+name+" = 0" {
			t.Errorf("%s's session: %s", name, said)
			continue
		}
		right[name] = true
	}
	if count != logins || len(right) != len(names) {
		t.Errorf("%d logins of %d users instead of %d of %d", count, len(right), logins, len(names))
	}
	for _, name := range names {
		l.ended(t, name)
	}
}
