// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package safefile edits configuration files as root, and finds and reads the
// files of another root directory, such as an image.
//
// An edit is atomic: at every moment, also after a failure or a crash, the file
// is either the complete old one or the complete new one. The package does what
// renameio does: it writes a temporary file, calls fsync(2), and renames it over
// the old one. It also does what renameio leaves to its callers: it keeps owner,
// access control lists and other extended attributes (such as SELinux's label);
// it calls fsync for the directory, without which a crash may lose the rename; it
// makes a second editor wait; and it chooses the place of the temporary file. That
// is never the file's own directory, because in /etc/pam.d every file is a
// service, whatever its name, and a killed process leaves its files behind. See
// staging.go.
package safefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// MaxSize is the size of the largest file that is edited, in bytes.
const MaxSize = 1 << 20

// Edit replaces a file's contents by what a function makes of them, if that
// differs. nil stands for a file that does not exist, and for one to be removed.
// The error is the function's own, or one of Begin and Put.
func Edit(path string, edit func(old []byte) ([]byte, error)) (changed bool, err error) {
	editing, err := Begin(path)
	if err != nil {
		return false, err
	}
	defer editing.End()
	text, err := edit(editing.Text())
	if err != nil {
		return false, err
	}
	return editing.Put(text)
}

// Editing is a file that is being edited. Until End, other processes that use
// this package to edit in the same directory wait, and signals are held back.
type Editing struct {
	path    string
	dir     *os.File
	text    []byte
	info    fs.FileInfo
	release func()
}

// Begin waits until no other process edits in the directory, and reads the file.
// The file need not exist, and must not be a symbolic link.
func Begin(path string) (*Editing, error) {
	e := &Editing{path: path, release: holdSignals()}
	var err error
	if e.dir, err = lock(filepath.Dir(path)); err != nil {
		e.release()
		return nil, err
	}
	sweep(path)
	if e.text, e.info, err = read(path); err != nil {
		e.End()
		return nil, err
	}
	return e, nil
}

// Text returns the contents as they were at Begin; nil if there was no file.
func (e *Editing) Text() []byte { return bytes.Clone(e.text) }

// Put gives the file new contents, if they differ; nil removes it. The error
// says which step failed. The file is then unchanged, unless the error is an
// *UnsureError.
func (e *Editing) Put(text []byte) (changed bool, err error) {
	switch {
	case text == nil && e.text == nil, text != nil && e.text != nil && bytes.Equal(text, e.text):
		return false, nil
	case text == nil:
		err = os.Remove(e.path)
	default:
		err = put(e.path, text, e.info)
	}
	if err != nil {
		return false, explain(e.path, err)
	}
	if err := e.dir.Sync(); err != nil {
		return true, &UnsureError{e.path, err}
	}
	return true, nil
}

// End lets other processes edit.
func (e *Editing) End() {
	e.dir.Close()
	e.release()
}

// UnsureError says that the new file is in place, but that a crash of the system
// soon after might bring the old one back.
type UnsureError struct {
	Path string
	Err  error
}

func (e *UnsureError) Error() string {
	return fmt.Sprintf("%s is changed, but may not be on disk yet: %v", e.Path, e.Err)
}

func (e *UnsureError) Unwrap() error { return e.Err }

// lock locks the directory, and waits for other processes that edit in it. A lock
// file would itself be a stray file, and a lock on the file would be lost with
// the inode that is replaced.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err == nil {
			return f, nil
		}
		if err != unix.EINTR {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: dir, Err: err}
		}
	}
}

// read returns the contents; nil, nil if there is no such file.
func read(path string) ([]byte, fs.FileInfo, error) {
	// Neither waits for a FIFO's writer, nor follows a link that was put there meanwhile.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &fs.PathError{Op: "edit", Path: path, Err: errors.New("not a regular file")}
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > MaxSize {
		return nil, nil, &fs.PathError{Op: "edit", Path: path, Err: fmt.Errorf("larger than %d bytes", MaxSize)}
	}
	if text == nil {
		text = []byte{}
	}
	return text, info, nil
}

// put replaces the file. It writes the new one to the first staging directory
// from which it can be renamed.
func put(path string, text []byte, old fs.FileInfo) error {
	var err error
	for _, staging := range stagings(path) {
		err = putFrom(staging, path, text, old)
		if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EROFS) {
			break
		}
	}
	return err
}

func putFrom(staging, path string, text []byte, old fs.FileInfo) error {
	if err := openStaging(staging); err != nil {
		return err
	}
	defer os.RemoveAll(staging)

	pending, err := renameio.NewPendingFile(path, renameio.WithTempDir(staging), renameio.WithStaticPermissions(0o644))
	if err != nil {
		return err
	}
	defer pending.Cleanup()
	if _, err := pending.Write(text); err != nil {
		return err
	}
	if old != nil {
		if err := copyAttributes(path, old, pending.File); err != nil {
			return err
		}
		if err := unchanged(path, old); err != nil {
			return err
		}
	}
	return pending.CloseAtomicallyReplace()
}

// unchanged checks that no process without the lock has changed the file meanwhile.
func unchanged(path string, old fs.FileInfo) error {
	now, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(now, old) || now.Size() != old.Size() || !now.ModTime().Equal(old.ModTime()) {
		return &fs.PathError{Op: "replace", Path: path, Err: errors.New("another program changed it at this moment: look at it, and try again")}
	}
	return nil
}
