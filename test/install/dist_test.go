// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// clone returns a new repository with this source as its only commit.
func clone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	machine.CopySource(t, dir)
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
	if archived := version(t, archive(t, dir)); archived != "1.2.3+git0.g"+git(t, dir, "rev-parse", "--short=7", "HEAD") {
		t.Errorf("its archive is %s", archived)
	}
	git(t, dir, "tag", "v1.2.3")
	for _, source := range []string{dir, archive(t, dir)} {
		if got := version(t, source); got != "1.2.3" {
			t.Errorf("the tagged commit is %s", got)
		}
	}
	edit(t, dir+"/README.md", "four")
	commit(t, dir)
	if got, archived := version(t, dir), version(t, archive(t, dir)); archived != got || !strings.HasPrefix(got, "1.2.3+git1.g") {
		t.Errorf("the commit after the tagged one is %s, its archive %s", got, archived)
	}
}

// archive unpacks what `git archive` makes of a commit, and public forges offer, below
// another repository, whose files this source's are not.
func archive(t *testing.T, dir string) string {
	t.Helper()
	other := t.TempDir()
	git(t, other, "init", "-q")
	edit(t, other+"/.gitignore", "source\n")
	commit(t, other)
	source := other + "/source"
	script := `mkdir "$2" && git -C "$1" archive HEAD | tar -C "$2" -x`
	if out, err := exec.Command("sh", "-euc", script, "sh", dir, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return source
}

// TestFilesOfASource checks which files the packages are built from: the same in a
// clone, where one is deleted, and in its archive.
func TestFilesOfASource(t *testing.T) {
	dir := clone(t)
	if err := os.Remove(dir + "/README.md"); err != nil {
		t.Fatal(err)
	}
	edit(t, dir+"/new", "")
	files := func(dir string) []string {
		out, err := exec.Command(dir + "/tools/source-files").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(out), "\x00")
	}
	cloned, archived := files(dir), files(archive(t, dir))
	if slices.Contains(cloned, "README.md") || !slices.Contains(cloned, "new") || !slices.Contains(cloned, "tools/version") {
		t.Errorf("a clone's files: %q", cloned)
	}
	if !slices.Contains(archived, "README.md") || len(archived) != len(cloned) {
		t.Errorf("%d files in the archive, %d in the clone: %q", len(archived), len(cloned), archived)
	}
}

// TestDist checks that the archives are the same each time, also for a user whose files
// nobody else may read, and build without a network.
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
	if out, err := exec.Command("chmod", "-R", "go=", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mask := syscall.Umask(0o077)
	second := sums()
	syscall.Umask(mask)
	if second != first {
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
