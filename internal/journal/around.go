// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package journal

import (
	"context"
	"fmt"
	"time"

	"pam_cockpit_cert/internal/clientcert"
)

// around is how long before and after a login its lines are looked for: Cockpit
// gives up a login after 60 s.
const around = time.Minute

// maxAround is how many lines are shown of a login.
const maxAround = 200

// Around returns the lines about a login: those of its process, and those of
// Cockpit's instance for the certificate, in which the session command runs.
func (j Journal) Around(ctx context.Context, login Login) ([]Entry, error) {
	matches := []string{"_BOOT_ID=" + login.boot, "_PID=" + login.pid}
	if login.Fingerprint != "" {
		matches = append(matches, "+", "_BOOT_ID="+login.boot,
			"_SYSTEMD_UNIT="+clientcert.UnitPrefix+login.Fingerprint+clientcert.UnitSuffix)
	}
	var found []Entry
	err := j.read(ctx, func(entry Entry) error {
		found = append(found, entry)
		if len(found) == maxAround {
			return errEnough
		}
		return nil
	}, append([]string{
		fmt.Sprintf("--since=@%d", login.Time.Add(-around).Unix()),
		fmt.Sprintf("--until=@%d", login.Time.Add(around).Unix()),
	}, matches...)...)
	return found, err
}
