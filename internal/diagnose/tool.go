// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"os/exec"
	"time"
)

// drain is how long to wait for the output of a tool that has ended: a child that it
// left behind may have the output open.
const drain = 500 * time.Millisecond

// tool prepares another package's program, which ends when the context is done. Its
// output is untranslated, because it is searched for English texts.
func tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(command.Environ(), "LC_ALL=C")
	command.WaitDelay = drain
	return command
}
