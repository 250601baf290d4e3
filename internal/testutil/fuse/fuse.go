// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package fuse is a file system whose files some processes cannot close.
package fuse

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel's requests of fuse(4); see linux/fuse.h.
const (
	fuseLookup  = 1
	fuseGetattr = 3
	fuseOpen    = 14
	fuseFlush   = 25
	fuseInit    = 26
)

// MountHanging mounts a file system with one file, called file. A process that has it
// open cannot close it, because the file system does not answer, unless its user is
// spared. The function that it returns ends that.
func MountHanging(t testing.TB, dir string, spared ...uint32) (end func()) {
	t.Helper()
	if err := unix.Mknod("/dev/fuse", unix.S_IFCHR|0o600, int(unix.Mkdev(10, 229))); err != nil && err != unix.EEXIST {
		t.Fatal(err)
	}
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE here: %v", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", device)
	if err := unix.Mount("hanging", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		t.Skipf("no FUSE here: %v", err)
	}
	go serve(device, spared)
	end = sync.OnceFunc(func() {
		_ = unix.Unmount(dir, unix.MNT_FORCE) // waiting processes get an error
		_ = unix.Unmount(dir, unix.MNT_DETACH)
		unix.Close(device)
	})
	t.Cleanup(end)
	return end
}

func serve(device int, spared []uint32) {
	buffer := make([]byte, 1<<17)
	for {
		n, err := unix.Read(device, buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		user := binary.NativeEndian.Uint32(buffer[24:])
		code, unique, node := binary.NativeEndian.Uint32(buffer[4:]), binary.NativeEndian.Uint64(buffer[8:]), binary.NativeEndian.Uint64(buffer[16:])
		var body []byte
		errno := int32(0)
		switch code {
		case fuseInit:
			body = make([]byte, 64)
			binary.NativeEndian.PutUint32(body, 7)
			binary.NativeEndian.PutUint32(body[4:], 31)
			binary.NativeEndian.PutUint32(body[20:], 1<<16) // max_write
		case fuseLookup:
			body = append(make([]byte, 40), attributes(2)...)
			binary.NativeEndian.PutUint64(body, 2)
		case fuseGetattr:
			body = append(make([]byte, 16), attributes(node)...)
		case fuseOpen:
			body = make([]byte, 16)
		case fuseFlush:
			if !slices.Contains(spared, user) {
				continue
			}
		default:
			errno = -int32(unix.ENOSYS)
		}
		reply := make([]byte, 16, 16+len(body))
		binary.NativeEndian.PutUint32(reply, uint32(16+len(body)))
		binary.NativeEndian.PutUint32(reply[4:], uint32(errno))
		binary.NativeEndian.PutUint64(reply[8:], unique)
		_, _ = unix.Write(device, append(reply, body...))
	}
}

// attributes returns a struct fuse_attr.
func attributes(node uint64) []byte {
	a := make([]byte, 88)
	mode := uint32(unix.S_IFREG | 0o644)
	if node == 1 {
		mode = unix.S_IFDIR | 0o755
	}
	binary.NativeEndian.PutUint64(a, node)
	binary.NativeEndian.PutUint32(a[60:], mode)
	binary.NativeEndian.PutUint32(a[64:], 1) // links
	return a
}
