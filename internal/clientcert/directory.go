// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// directory is an open directory. Files are opened relative to it, so that they
// cannot be anywhere else.
type directory struct {
	fd   int
	path string // for messages
}

func openDirectory(at int, path string, flags int) (directory, error) {
	fd, err := open(at, path, unix.O_RDONLY|unix.O_DIRECTORY|flags)
	if err != nil {
		return directory{}, fmt.Errorf("opening %s: %w", path, err)
	}
	return directory{fd, path}, nil
}

func (f directory) close() { unix.Close(f.fd) }

// open opens a file for reading. It follows no symbolic link, does not wait for
// a FIFO's writer, and makes no terminal the controlling one.
func (f directory) open(name string) (int, error) {
	return open(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
}

// entries lists the directory in batches, see getdents(2).
func (f directory) entries() *listing {
	return &listing{fd: f.fd, buffer: make([]byte, 32<<10)}
}

type listing struct {
	fd     int
	buffer []byte
}

// next returns a batch of entries, or nil after the last.
func (l *listing) next() (dirents, error) {
	for {
		n, err := unix.Getdents(l.fd, l.buffer)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return nil, nil
		default:
			return dirents(l.buffer[:n]), nil
		}
	}
}

// dirents are entries of a directory as the kernel packs them: inode and offset of
// 8 bytes each, length of 2, type of 1, name, NUL.
type dirents []byte

const (
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

// files yields the names, and whether each can be a regular file: some file
// systems do not tell the type.
func (d dirents) files() iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for len(d) >= direntName {
			length := int(binary.NativeEndian.Uint16(d[direntLength:]))
			if length < direntName || length > len(d) {
				return
			}
			name, _, _ := bytes.Cut(d[direntName:length], []byte{0})
			kind := d[direntType]
			d = d[length:]
			if !yield(string(name), kind == unix.DT_REG || kind == unix.DT_UNKNOWN) {
				return
			}
		}
	}
}

// open is openat(2) with O_CLOEXEC, repeated if a signal interrupts it.
func open(at int, path string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(at, path, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func pread(fd int, buffer []byte, offset int64) (int, error) {
	for {
		n, err := unix.Pread(fd, buffer, offset)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// readAll returns the content of a file from its start. It stops once it has
// more than limit bytes. The guess is the expected size: if it is right, the
// buffer never grows.
func readAll(fd, guess, limit int) ([]byte, error) {
	text := make([]byte, 0, guess)
	for len(text) <= limit {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := pread(fd, text[len(text):min(cap(text), limit+1)], int64(len(text)))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		text = text[:len(text)+n]
	}
	return text, nil
}
