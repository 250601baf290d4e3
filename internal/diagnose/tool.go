// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"os/exec"
	"time"
)

// drain is how long the output of a tool is waited for once the tool is ended: a
// child that it left may hold it open.
const drain = 500 * time.Millisecond

// tool is another package's program, to be run until the context is done. It says
// what it says in the words that we look for.
func tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(command.Environ(), "LC_ALL=C")
	command.WaitDelay = drain
	return command
}
