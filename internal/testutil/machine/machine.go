// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package machine makes real Debian systems for tests: roots by mmdebstrap,
// cached between runs; an overlay of one for each test; and machines booted
// from it, in a container or in a virtual machine.
//
// A test package calls Main from its TestMain. All of it then runs in mount
// and process namespaces of its own, so that no mount, process or machine
// outlives the test, however it ends.
package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
)

// Main runs a package's tests in namespaces in which machines can be made. Without
// root's privileges it runs them as they are, and the functions of this package
// skip them.
func Main(m *testing.M) { namespace.Main(m) }

// CacheVariable names the environment variable with the cache's directory.
const CacheVariable = "PAM_COCKPIT_CERT_CACHE"

// Cache returns the directory that outlives the tests: PAM_COCKPIT_CERT_CACHE, or
// build/.cache in the source, whose dot makes Go ignore the packages in it.
func Cache(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(CacheVariable)
	if dir == "" {
		dir = filepath.Join(Source(t), "build", ".cache")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Source returns the directory of the whole source.
func Source(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		t.Fatal("cannot tell where the source is: built with -trimpath?")
	}
	dir := filepath.Dir(file)
	for range 3 {
		dir = filepath.Dir(dir)
	}
	return dir
}

// CopySource makes a directory with the files that a commit of this source would have.
func CopySource(t testing.TB, to string) {
	t.Helper()
	copying := exec.Command("sh", "-euc", `mkdir -p "$1" && tools/source-files | xargs -0 cp --parents -P -p -t "$1"`, "sh", to)
	copying.Dir = Source(t)
	if out, err := copying.CombinedOutput(); err != nil {
		t.Fatalf("copying the source: %v\n%s", err, out)
	}
}
