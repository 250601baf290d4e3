// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/testutil/namespace"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(editMarker); path != "" {
		interrupted(path)
	}
	namespace.Main(m)
}

// directory makes <dir>/etc/pam.d with one file in it, and returns its path.
func directory(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "etc/pam.d/cockpit")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, path, "old\n")
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func to(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

// alone checks that the file has this text, and is the only one in its directory.
func alone(t *testing.T, path, text string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != text {
		t.Errorf("the file is %q: %v", got, err)
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s has %v: %v", dir, entries, err)
		}
	}
}

// refuses checks that an edit fails, says why, and leaves nothing behind.
func refuses(t *testing.T, path string, reason string) {
	t.Helper()
	changed, err := Edit(path, to("new\n"))
	if err == nil || changed || !strings.Contains(err.Error(), reason) {
		t.Errorf("got %v, want an error with %q", err, reason)
	}
	alone(t, path, "old\n")
}

func TestEditorsAtOnceLoseNothing(t *testing.T) {
	path := directory(t)
	const editors, edits = 8, 25
	var all sync.WaitGroup
	for range editors {
		all.Add(1)
		go func() {
			defer all.Done()
			for range edits {
				if _, err := Edit(path, func(old []byte) ([]byte, error) { return append(old, '.'), nil }); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	alone(t, path, "old\n"+strings.Repeat(".", editors*edits))
}

func TestNothingIsWrittenIfNothingChanges(t *testing.T) {
	path := directory(t)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := Edit(path, to("old\n")); changed || err != nil {
		t.Errorf("changed: %v, %v", changed, err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("another file is there: %v", err)
	}
	missing := filepath.Join(filepath.Dir(path), "missing")
	if changed, err := Edit(missing, func(old []byte) ([]byte, error) { return old, nil }); changed || err != nil {
		t.Errorf("changed a file that is not there: %v, %v", changed, err)
	}
	alone(t, path, "old\n")
}

func TestTheEditorsOwnErrorComesBack(t *testing.T) {
	path, refusal := directory(t), errors.New("no")
	if _, err := Edit(path, func([]byte) ([]byte, error) { return nil, refusal }); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	alone(t, path, "old\n")
}

func TestAnEditorThatTakesNoLockIsNotOverwritten(t *testing.T) {
	path := directory(t)
	_, err := Edit(path, func([]byte) ([]byte, error) {
		other := path + "~"
		write(t, other, "theirs\n")
		return []byte("ours\n"), os.Rename(other, path)
	})
	if err == nil || !strings.Contains(err.Error(), "another program changed it") {
		t.Errorf("got %v", err)
	}
	alone(t, path, "theirs\n")
}

func TestFilesOfAKilledProcessAreRemoved(t *testing.T) {
	path := directory(t)
	stale := stagings(path)[0]
	if err := os.Mkdir(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(stale, ".cockpit123"), "half")
	if _, err := Edit(path, to("old\n")); err != nil {
		t.Fatal(err)
	}
	alone(t, path, "old\n")
}

func TestAFileInPlaceOfTheStagingDirectory(t *testing.T) {
	path := directory(t)
	write(t, stagings(path)[0], "precious")
	if _, err := Edit(path, to("new\n")); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(stagings(path)[0]); err != nil || string(text) != "precious" {
		t.Errorf("it became %q: %v", text, err)
	}
}

func TestOnlyRegularFilesOfReasonableSizeAreEdited(t *testing.T) {
	path := directory(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Edit(path, to("new\n")); done <- err }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the FIFO's writer")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if _, err := Edit(path, to("new\n")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Repeat("x", MaxSize+1))
	if _, err := Edit(path, to("new\n")); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a large file: %v", err)
	}
}

func TestAccessControlListsAreKept(t *testing.T) {
	path := directory(t)
	if out, err := exec.Command("setfacl", "-m", "u:1234:rw,g:4321:r", path).CombinedOutput(); err != nil {
		t.Skipf("needs setfacl, and a file system with lists: %v: %s", err, out)
	}
	list := func() []byte {
		out, err := exec.Command("getfacl", "-cn", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := list()
	if _, err := Edit(path, to("new\n")); err != nil {
		t.Fatal(err)
	}
	if after := list(); !bytes.Equal(after, before) || !bytes.Contains(after, []byte("user:1234:rw")) {
		t.Errorf("the list was\n%s and is\n%s", before, after)
	}
	alone(t, path, "new\n")
}

// The test can set labels where no security module interprets them.
func TestLabelsAreKept(t *testing.T) {
	path := directory(t)
	const label = "system_u:object_r:etc_t:s0\x00"
	if err := unix.Setxattr(path, "security.selinux", []byte(label), 0); err != nil {
		t.Skipf("needs root, and a file system with labels: %v", err)
	}
	if _, err := Edit(path, to("new\n")); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 100)
	n, err := unix.Getxattr(path, "security.selinux", value)
	if err != nil || string(value[:n]) != label {
		t.Errorf("the label is %q: %v", value[:max(n, 0)], err)
	}
	alone(t, path, "new\n")
}

// The new file does not keep the default access control list of the directory
// above, in which it is written.
func TestTheDefaultAccessControlListOfTheDirectoryAboveIsNotKept(t *testing.T) {
	path := directory(t)
	above := filepath.Dir(filepath.Dir(path))
	if out, err := exec.Command("setfacl", "-d", "-m", "u:1234:rw", above).CombinedOutput(); err != nil {
		t.Skipf("needs setfacl, and a file system with lists: %v: %s", err, out)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Edit(path, to("new\n")); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("getfacl", "-cn", path).Output()
	if err != nil || bytes.Contains(out, []byte("1234")) {
		t.Errorf("the list is\n%s%v", out, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("the mode is %v: %v", info.Mode(), err)
	}
}

func TestOthersWaitUntilAnEditingEnds(t *testing.T) {
	path := directory(t)
	others := make(chan error, 1)
	for _, text := range []string{"new\n", "new\n"} { // changed, and unchanged
		editing, err := Begin(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := editing.Put([]byte(text)); err != nil {
			t.Error(err)
		}
		go func() { _, err := Edit(path, to("others\n")); others <- err }()
		select {
		case err := <-others:
			t.Errorf("another edit did not wait: %v", err)
			others <- err
		case <-time.After(50 * time.Millisecond):
		}
		editing.End()
		if err := <-others; err != nil {
			t.Error(err)
		}
		alone(t, path, "others\n")
		write(t, path, "new\n")
	}
}
