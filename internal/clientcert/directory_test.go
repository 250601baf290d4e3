// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// pack makes an entry as getdents(2) does.
func pack(name string, kind byte) []byte {
	length := (direntName + len(name) + 1 + 7) &^ 7
	entry := make([]byte, length)
	binary.NativeEndian.PutUint16(entry[direntLength:], uint16(length))
	entry[direntType] = kind
	copy(entry[direntName:], name)
	return entry
}

func TestDirents(t *testing.T) {
	var batch dirents
	for name, kind := range map[string]byte{
		"regular": unix.DT_REG, "unknown": unix.DT_UNKNOWN, "directory": unix.DT_DIR, "link": unix.DT_LNK,
		"fifo": unix.DT_FIFO, "socket": unix.DT_SOCK, "character": unix.DT_CHR, "block": unix.DT_BLK,
	} {
		batch = append(batch, pack(name, kind)...)
	}
	var candidates, others []string
	for name, regular := range batch.files() {
		if regular {
			candidates = append(candidates, name)
		} else {
			others = append(others, name)
		}
	}
	slices.Sort(candidates)
	if !slices.Equal(candidates, []string{"regular", "unknown"}) || len(others) != 6 {
		t.Errorf("got %q and %q", candidates, others)
	}
}

// FuzzDirents checks that no answer of a file system makes dirents read beyond it.
func FuzzDirents(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(pack("a", unix.DT_REG))
	f.Add(append(pack("a", unix.DT_REG), pack("some longer name", unix.DT_DIR)...))
	f.Add(pack("a", unix.DT_REG)[:10])
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, batch []byte) {
		total := 0
		for name := range dirents(batch).files() {
			total += direntName + len(name)
		}
		if total > len(batch) {
			t.Errorf("%d bytes of names from %d", total, len(batch))
		}
	})
}
