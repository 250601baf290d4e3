// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long one command may take.
const patience = 20 * time.Minute

// Shell runs commands as root in a system, booted or not.
type Shell struct {
	// command prepares a command, whose output the caller still has to set.
	command func(ctx context.Context, args []string) *exec.Cmd
}

// Command prepares a command, for uses that the other methods do not cover.
func (s Shell) Command(ctx context.Context, args ...string) *exec.Cmd { return s.command(ctx, args) }

// Try runs a command and returns its standard output and standard error.
func (s Shell) Try(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return s.feed(t, nil, args...)
}

// Run is Try for a command that must not fail.
func (s Shell) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.Try(t, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, tail(out, 60))
	}
	return out
}

// Sh runs a script, which ends at the first command that fails.
func (s Shell) Sh(t testing.TB, script string) string {
	t.Helper()
	return s.Run(t, "sh", "-euc", script)
}

// Write makes a file and its parent directories.
func (s Shell) Write(t testing.TB, path string, mode uint32, content []byte) {
	t.Helper()
	script := fmt.Sprintf(`mkdir -p "$1" && : >"$2" && chmod %o "$2" && cat >"$2"`, mode)
	if out, err := s.feed(t, bytes.NewReader(content), "sh", "-euc", script, "write", filepath.Dir(path), path); err != nil {
		t.Fatalf("writing %s: %v\n%s", path, err, out)
	}
}

// Copy puts a file or directory of this machine at a path of the other.
func (s Shell) Copy(t testing.TB, from, to string) {
	t.Helper()
	pack := exec.CommandContext(t.Context(), "tar", "-C", filepath.Dir(from), "-c", filepath.Base(from))
	archive, err := pack.Output()
	if err != nil {
		t.Fatalf("packing %s: %v", from, err)
	}
	script := `mkdir -p "$1" && mkdir "$1/.copy" && tar -C "$1/.copy" -x --no-same-owner && mv -T "$1/.copy/$2" "$3" && rmdir "$1/.copy"`
	out, err := s.feed(t, bytes.NewReader(archive), "sh", "-euc", script, "copy", filepath.Dir(to), filepath.Base(from), to)
	if err != nil {
		t.Fatalf("copying %s to %s: %v\n%s", from, to, err, out)
	}
}

func (s Shell) feed(t testing.TB, in io.Reader, args ...string) (string, error) {
	t.Helper()
	// Not the test's context, which has ended while the test cleans up.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := s.command(ctx, args)
	var out bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = in, &out, &out
	err := command.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return out.String(), err
}
