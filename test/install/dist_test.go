// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clone returns a new repository with this source as its only commit.
func clone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copySource(t, dir)
	git(t, dir, "init", "-q")
	commit(t, dir)
	return dir
}

func git(t *testing.T, dir string, arguments ...string) string {
	t.Helper()
	arguments = append([]string{"-c", "user.name=x", "-c", "user.email=x@localhost", "-C", dir}, arguments...)
	out, err := exec.Command("git", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", arguments, err, out)
	}
	return strings.TrimSpace(string(out))
}

func commit(t *testing.T, dir string) {
	t.Helper()
	git(t, dir, "add", "--all")
	git(t, dir, "commit", "-qm", "x")
}

func version(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(dir, "tools/version")).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func edit(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVersions checks that two different sources never have the same version, and
// that for dpkg and RPM the version of a later commit is newer.
func TestVersions(t *testing.T) {
	dir := clone(t)
	edit(t, dir+"/VERSION", "1.2.3\n")
	commit(t, dir)
	if got := version(t, dir); got != "1.2.3" {
		t.Errorf("the commit that sets VERSION is %s", got)
	}
	seen := map[string]bool{"1.2.3": true}
	for _, text := range []string{"one", "two"} {
		edit(t, dir+"/README.md", text)
		got := version(t, dir)
		if seen[got] || !strings.HasPrefix(got, "1.2.3+git") {
			t.Errorf("with the change %q it is %s, after %v", text, got, seen)
		}
		seen[got] = true
	}
	commit(t, dir)
	first := version(t, dir)
	if want := "1.2.3+git1.g" + git(t, dir, "rev-parse", "--short=7", "HEAD"); first != want {
		t.Errorf("a commit after the release is %s, want %s", first, want)
	}
	edit(t, dir+"/README.md", "three")
	commit(t, dir)
	if second := version(t, dir); !strings.HasPrefix(second, "1.2.3+git2.g") {
		t.Errorf("the next commit is %s", second)
	}
	git(t, dir, "tag", "v1.2.3")
	if got := version(t, dir); got != "1.2.3" {
		t.Errorf("the tagged commit is %s", got)
	}
}

// TestDist checks that the archives are the same each time, and build without a network.
func TestDist(t *testing.T) {
	dir := clone(t)
	sums := func() string {
		if out, err := invoke(dir, nil, "dist"); err != nil {
			t.Fatalf("make dist: %v\n%s", err, out)
		}
		text, err := os.ReadFile(dir + "/build/dist/SHA256SUMS")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := sums()
	if strings.Count(first, "\n") != 2 {
		t.Errorf("SHA256SUMS has\n%s", first)
	}
	if second := sums(); second != first {
		t.Errorf("made twice, the archives are\n%s\nand\n%s", first, second)
	}
	want, unpacked := version(t, dir), t.TempDir()
	name := "pam_cockpit_cert-" + want
	script := `sha256sum --quiet -c SHA256SUMS && tar -C "$1" -xf "$2.tar.gz" && tar -C "$1/$2" -xf "$2-vendor.tar.gz"`
	tar := exec.Command("sh", "-euc", script, "sh", unpacked, name)
	tar.Dir = dir + "/build/dist"
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	source := filepath.Join(unpacked, name)
	if out, err := invoke(source, []string{"GOPROXY=off", "GOFLAGS=-mod=vendor"}, "command"); err != nil {
		t.Fatalf("make in the unpacked archive: %v\n%s", err, out)
	}
	if out, err := exec.Command(source+"/build/pam-cockpit-cert", "--version").Output(); err != nil || !strings.Contains(string(out), " "+want+"\n") {
		t.Errorf("the archive's command says %q, %v; want %s", out, err, want)
	}
}

// TestRelease checks that a version that only some of the files have is not tagged.
func TestRelease(t *testing.T) {
	dir := clone(t)
	edit(t, dir+"/VERSION", "9.9.9\n")
	commit(t, dir)
	out, err := invoke(dir, nil, "release")
	if err == nil {
		t.Fatalf("a version that no changelog has was released:\n%s", out)
	}
	for _, file := range []string{"CHANGELOG.md", "deb/changelog", "rpm/pam_cockpit_cert.spec"} {
		if !strings.Contains(out, file) {
			t.Errorf("nothing is said of %s:\n%s", file, out)
		}
	}
	if tags := git(t, dir, "tag"); tags != "" {
		t.Errorf("tagged: %s", tags)
	}
}
