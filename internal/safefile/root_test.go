// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestALinkMeansWhatItMeansInTheRoot(t *testing.T) {
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "a/b"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "a/b/file"), []byte("x"), 0o644))
	for name, target := range map[string]string{
		"absolute": "/a/b/file", "directory": "/a", "up": "../../../../a/b/file", "a/b/beside": "file", "a/b/above": "../../absolute",
		"chain": "directory/b/above", "nowhere": "/a/c/file", "loop": "loop", "ping": "pong", "pong": "ping", "slashes": "//a///b/./file",
		"through": "absolute/x", "empty": "/",
	} {
		must(t, os.Symlink(target, filepath.Join(root, name)))
	}
	for i := range maxLinks + 1 {
		must(t, os.Symlink("n"+strconv.Itoa(i+1), filepath.Join(root, "n"+strconv.Itoa(i))))
	}
	must(t, os.WriteFile(filepath.Join(root, "n"+strconv.Itoa(maxLinks+1)), nil, 0o644))
	for _, test := range []struct {
		name, want string
		err        error
	}{
		{"/a/b/file", "/a/b/file", nil},
		{"a//b/../b/./file", "/a/b/file", nil},
		{"/../../a/b/file", "/a/b/file", nil},
		{"/absolute", "/a/b/file", nil},
		{"/directory/b/file", "/a/b/file", nil},
		{"/up", "/a/b/file", nil},
		{"/a/b/beside", "/a/b/file", nil},
		{"/chain", "/a/b/file", nil},
		{"/slashes", "/a/b/file", nil},
		{"/empty", "/", nil},
		{"/n1", "/n" + strconv.Itoa(maxLinks+1), nil},
		{"/nowhere", "/a/c/file", fs.ErrNotExist},
		{"/a/x/y", "/a/x/y", fs.ErrNotExist},
		{"/loop", "", unix.ELOOP},
		{"/ping", "", unix.ELOOP},
		{"/n0", "", unix.ELOOP},
		{"/through", "/a/b/file/x", unix.ENOTDIR},
	} {
		got, err := Resolve(root, test.name)
		if !errors.Is(err, test.err) || test.want != "" && got != filepath.Join(root, test.want) {
			t.Errorf("%s: got %s, %v", test.name, got, err)
		}
	}
	for name, want := range map[string]bool{"/up": true, "/nowhere": false, "/loop": true, "/a": true, "/b": false} {
		if Exists(root, name) != want {
			t.Errorf("%s exists: %v", name, !want)
		}
	}
}

func TestOnlyRegularFilesOfReasonableSizeAreRead(t *testing.T) {
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "ten"), []byte("0123456789"), 0o644))
	must(t, unix.Mkfifo(filepath.Join(root, "fifo"), 0o644))
	must(t, os.Mkdir(filepath.Join(root, "directory"), 0o755))
	must(t, os.Symlink("/fifo", filepath.Join(root, "link")))
	if text, err := ReadFile(root, "/ten", 10); err != nil || string(text) != "0123456789" {
		t.Errorf("got %q, %v", text, err)
	}
	done := make(chan error)
	for _, test := range []struct {
		name  string
		limit int64
	}{{"/ten", 9}, {"/fifo", 10}, {"/link", 10}, {"/directory", 10}, {"/none", 10}} {
		go func() { _, err := ReadFile(root, test.name, test.limit); done <- err }()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s is read", test.name)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("reading %s waits", test.name)
		}
	}
}
