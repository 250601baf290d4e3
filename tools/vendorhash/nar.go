// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// HashPath returns what `nix hash path PATH` prints: the SHA-256 of the Nix
// archive (NAR) of path, as a Subresource Integrity string.
func HashPath(path string) (string, error) {
	h := sha256.New()
	if err := writeNAR(h, path); err != nil {
		return "", err
	}
	return "sha256-" + base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

// writeNAR writes path as a Nix archive. The format, described in the Nix
// manual's chapter "Nix Archive (NAR) format", knows only contents, the
// executable bit of files, and the targets of symbolic links: no owner and no
// time, so that the same tree has the same hash everywhere.
func writeNAR(w io.Writer, path string) error {
	n := narWriter{w: w}
	n.str("nix-archive-1")
	n.node(path)
	return n.err
}

// narWriter keeps the first error, so that the code below reads like the grammar.
type narWriter struct {
	w   io.Writer
	err error
}

func (n *narWriter) node(path string) {
	info, err := os.Lstat(path)
	if err != nil {
		n.fail(err)
		return
	}
	n.str("(")
	n.str("type")
	switch info.Mode().Type() {
	case 0:
		n.str("regular")
		if info.Mode()&0o100 != 0 {
			n.str("executable")
			n.str("")
		}
		n.str("contents")
		n.file(path)
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		n.fail(err)
		n.str("symlink")
		n.str("target")
		n.str(target)
	case fs.ModeDir:
		n.str("directory")
		entries, err := os.ReadDir(path) // sorted by name in byte order, as the format wants
		n.fail(err)
		for _, e := range entries {
			n.str("entry")
			n.str("(")
			n.str("name")
			n.str(e.Name())
			n.str("node")
			n.node(filepath.Join(path, e.Name()))
			n.str(")")
		}
	default:
		n.fail(fmt.Errorf("%s: neither a file, a directory nor a symbolic link", path))
	}
	n.str(")")
}

func (n *narWriter) file(path string) {
	data, err := os.ReadFile(path)
	n.fail(err)
	n.bytes(data)
}

func (n *narWriter) str(s string) { n.bytes([]byte(s)) }

// bytes writes a length of eight bytes, little-endian, the data, and zeros up
// to a multiple of eight.
func (n *narWriter) bytes(b []byte) {
	if n.err != nil {
		return
	}
	var buf bytes.Buffer
	buf.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
	buf.Write(b)
	buf.Write(make([]byte, (8-len(b)%8)%8))
	_, err := n.w.Write(buf.Bytes())
	n.fail(err)
}

func (n *narWriter) fail(err error) {
	if n.err == nil {
		n.err = err
	}
}
