// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/namespace"
)

// fresh is how long a root is used. Later the archive would not have the packages
// of the root's lists any more, so that the root is made again. A root that no
// test has used for this time is removed.
const fresh = 7 * 24 * time.Hour

// Root returns the directory of a Debian system made to the recipe, from the
// cache if possible. The test must not change it: see NewOverlay. If the suite is
// not available, the test is skipped.
func Root(t testing.TB, recipe Recipe) string {
	t.Helper()
	namespace.Need(t)
	roots := filepath.Join(Cache(t), "roots")
	if err := os.MkdirAll(roots, 0o755); err != nil {
		t.Fatal(err)
	}
	// One builder for each suite: they share its downloads, too.
	suite := lock(t, filepath.Join(roots, recipe.Suite+".lock"), unix.LOCK_EX)
	defer suite.Close()
	prune(t, roots, recipe.name())

	dir := current(t, recipe, roots)
	// Until the test binary ends, no other process may prune the root.
	use := lock(t, dir+".lock", unix.LOCK_SH)
	if err := os.Chtimes(use.Name(), time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	inUse.Store(use, nil)
	return dir
}

// inUse keeps the garbage collector from closing the files with the locks.
var inUse sync.Map

// current returns the root's directory, and makes the root if it is missing or old.
func current(t testing.TB, recipe Recipe, roots string) string {
	t.Helper()
	dir := filepath.Join(roots, recipe.name())
	info, err := os.Stat(dir)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing:
		if err := recipe.available(); err != nil {
			t.Skipf("Debian's %s cannot be had: %v", recipe.Suite, err)
		}
		build(t, recipe, roots, dir)
	case err != nil:
		t.Fatal(err)
	case time.Since(info.ModTime()) > fresh && recipe.available() == nil && unused(dir):
		build(t, recipe, roots, dir)
	}
	return dir
}

// build makes the root under another name, and renames it when it is complete.
func build(t testing.TB, recipe Recipe, roots, dir string) {
	t.Helper()
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		t.Skip("needs mmdebstrap, of the package of that name")
	}
	archives := filepath.Join(roots, "archives-"+recipe.Suite)
	if err := os.MkdirAll(archives, 0o755); err != nil {
		t.Fatal(err)
	}
	how := []string{
		"--variant=minbase", "--include=ca-certificates", `--dpkgopt=force-unsafe-io`,
		`--aptopt=Acquire::Retries "3"`, `--aptopt=Acquire::Languages "none"`,
		// A mirror that is not updated any more will do.
		`--aptopt=Acquire::Check-Valid-Until "false"`,
	}
	if common := recipe.common(); common.name() != recipe.name() {
		// What all roots of a suite have is installed once. mmdebstrap makes /dev.
		how = []string{"--variant=custom",
			`--setup-hook=tar -C ` + current(t, common, roots) + ` --exclude="./dev/*" --exclude=./etc/apt/sources.list -c . | tar -C "$1" -x`}
	}
	making := filepath.Join(roots, recipe.Suite+".making")
	if err := os.RemoveAll(making); err != nil {
		t.Fatal(err)
	}
	args := slices.Concat([]string{"--mode=root", "--format=directory"}, how, []string{
		// Everything that is downloaded is kept for the next root.
		"--skip=download/empty", "--skip=essential/unlink",
		`--setup-hook=mkdir -p "$1/var/cache/apt/archives" && mount --bind ` + archives + ` "$1/var/cache/apt/archives"`,
	})
	for _, command := range recipe.commands() {
		args = append(args, `--customize-hook=chroot "$1" sh -euc '`+strings.ReplaceAll(command, "'", `'\''`)+"'")
	}
	args = append(args,
		`--customize-hook=chroot "$1" apt-get -qq autoclean`,
		`--customize-hook=umount "$1/var/cache/apt/archives"`,
		// Empty, so that each machine makes its own at boot.
		`--customize-hook=: >"$1/etc/machine-id"`,
		recipe.Suite, making)
	command := exec.CommandContext(t.Context(), "mmdebstrap", append(args, recipe.sources()...)...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	start := time.Now()
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("making a root of %s: %v\n%s", recipe.Suite, err, tail(string(out), 40))
	}
	// mmdebstrap gives the directory the archive's time.
	if err := errors.Join(
		os.Chtimes(making, time.Now(), time.Now()), os.RemoveAll(dir), os.Rename(making, dir)); err != nil {
		t.Fatal(err)
	}
	t.Logf("made a root of %s with %s in %v", recipe.Suite, strings.Join(recipe.Packages, " "), time.Since(start).Round(time.Second))
}

// prune removes the roots that no test has used lately.
func prune(t testing.TB, roots, keep string) {
	t.Helper()
	locks, err := filepath.Glob(filepath.Join(roots, "*-*.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range locks {
		dir := strings.TrimSuffix(path, ".lock")
		info, err := os.Stat(path)
		if err != nil || filepath.Base(dir) == keep || time.Since(info.ModTime()) < fresh || !unused(dir) {
			continue
		}
		if err := errors.Join(os.RemoveAll(dir), os.Remove(path)); err != nil {
			t.Logf("pruning an old root: %v", err)
		}
	}
}

// unused tells whether no test uses the root, in this process or another.
func unused(dir string) bool {
	file, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return false
	}
	defer file.Close()
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// lock waits for a lock on the file, which lasts until the file is closed.
func lock(t testing.TB, path string, how int) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	for {
		switch err := unix.Flock(int(file.Fd()), how); {
		case err == nil:
			return file
		case errors.Is(err, unix.EINTR):
		default:
			t.Fatalf("locking %s: %v", path, err)
		}
	}
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
