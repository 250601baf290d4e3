// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkFind looks for the certificate of a cockpit-ws at the other end of
// standard input, among other users' connections. The file is always the last
// in the directory.
func BenchmarkFind(b *testing.B) {
	alice := certificateAlice.Fingerprint()
	other := header(certificateBob.Fingerprint()) + string(certificateBob.PEM())
	for _, files := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			dir, err := os.MkdirTemp("/dev/shm", "cc") // a tmpfs, as /run is
			if err != nil {
				b.Skip(err)
			}
			defer os.RemoveAll(dir)
			write(dir, "clients/x", header(alice)+string(certificateAlice.PEM()))
			clients := filepath.Join(dir, "clients")
			for i := range files - 1 {
				must(os.WriteFile(fmt.Sprintf("%s/%064x", clients, i), []byte(other), 0o400))
			}
			proc := newProcIn(b.TempDir())
			proc.place(os.Getpid(), unit(alice))
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer unix.Close(pair[0])
			defer unix.Close(pair[1])
			s := Source{Proc: string(proc), TLSDir: dir, Stdin: pair[0]}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Find(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFindNone is a login that has nothing to do with Cockpit.
func BenchmarkFindNone(b *testing.B) {
	s := Source{Stdin: -1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Find(context.Background()); err == nil {
			b.Fatal("found one")
		}
	}
}
