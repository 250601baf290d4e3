// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// maxFile bounds an exported file, in bytes: no certificate comes near it.
	maxFile = 100_000

	// maxFiles bounds how many files of a folder are looked at. cockpit-tls
	// exports one for each TLS connection, and systemd bounds these.
	maxFiles = 100_000
)

// exported finds the file in which cockpit-tls exported the instance's
// certificate. Where that is depends on Cockpit's release:
//
//	209 to 249  TLSDir/INSTANCE          the certificate
//	250 to 256  TLSDir/RANDOM            a line that names the control group, and the certificate
//	257 on      TLSDir/clients/RANDOM    the same
//
// The instance is the certificate's fingerprint, so that whichever file is
// found, it is the right one or it is refused.
func (s Source) exported(ctx context.Context, instance string) (Certificate, error) {
	dir, err := os.Open(s.TLSDir)
	if errors.Is(err, os.ErrNotExist) {
		return Certificate{}, fmt.Errorf("%s does not exist: %w", s.TLSDir, ErrNone)
	}
	if err != nil {
		return Certificate{}, err
	}
	defer dir.Close()

	// The newest release first.
	clients, err := openFolder(dir, "clients")
	if err == nil {
		defer clients.Close()
		certificate, err := scan(ctx, clients, instance)
		if !errors.Is(err, ErrNone) {
			return certificate, err
		}
	} else if !errors.Is(err, unix.ENOENT) {
		return Certificate{}, fmt.Errorf("opening %s/clients: %w", s.TLSDir, err)
	}

	text, err := readFile(dir, instance)
	switch {
	case err == nil:
		return checked(dir.Name()+"/"+instance, text, instance)
	case errors.Is(err, unix.ENOENT):
		return scan(ctx, dir, instance)
	default:
		return Certificate{}, err
	}
}

func checked(path string, text []byte, instance string) (Certificate, error) {
	certificate, err := parseCertificate(text, instance)
	if err != nil {
		return Certificate{}, &RejectedError{Reason: path, Err: err}
	}
	return certificate, nil
}

// scan looks for a file that begins with the instance's control group, as
// cockpit-tls writes it on every layout of control groups. There may be
// several, one for each connection; one may be half written.
func scan(ctx context.Context, dir *os.File, instance string) (Certificate, error) {
	line := []byte("0::" + unitPrefix + instance + unitSuffix + "\n")
	var problem error
	for seen := 0; ; {
		names, err := dir.Readdirnames(256)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Certificate{}, fmt.Errorf("listing %s: %w", dir.Name(), err)
		}
		if err := ctx.Err(); err != nil {
			return Certificate{}, fmt.Errorf("listing %s: %w", dir.Name(), err)
		}
		if seen += len(names); seen > maxFiles {
			return Certificate{}, fmt.Errorf("%s has more than %d files", dir.Name(), maxFiles)
		}
		for _, name := range names {
			text, err := readMatching(dir, name, line)
			if err == nil && text != nil {
				var certificate Certificate
				if certificate, err = checked(dir.Name()+"/"+name, text, instance); err == nil {
					return certificate, nil
				}
			}
			if problem == nil {
				problem = err
			}
		}
	}
	if problem != nil {
		return Certificate{}, problem
	}
	return Certificate{}, fmt.Errorf("no file in %s is of this instance: %w", dir.Name(), ErrNone)
}

// readMatching returns what follows the line in a file that begins with it;
// nil for every other file, and for one that is gone by now.
func readMatching(dir *os.File, name string, line []byte) ([]byte, error) {
	fd, err := openAt(dir, name)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO):
		return nil, nil // vanished, a symbolic link, a socket or a device
	case err != nil:
		return nil, err
	}
	defer unix.Close(fd)
	start := make([]byte, len(line))
	n, err := unix.Pread(fd, start, 0)
	switch {
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ESPIPE):
		return nil, nil // a folder or a FIFO: Cockpit makes none
	case err != nil:
		return nil, &os.PathError{Op: "read", Path: dir.Name() + "/" + name, Err: err}
	case n != len(line) || !bytes.Equal(start, line):
		return nil, nil
	}
	text, err := readRegular(dir, name, fd)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(text, line)
	if !ok {
		return nil, nil // rewritten meanwhile
	}
	return rest, nil
}

// readFile returns the content of a file that must be a certificate's.
func readFile(dir *os.File, name string) ([]byte, error) {
	fd, err := openAt(dir, name)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &RejectedError{Reason: dir.Name() + "/" + name, Err: errors.New("it is a symbolic link")}
	case errors.Is(err, unix.ENXIO):
		return nil, &RejectedError{Reason: dir.Name() + "/" + name, Err: errNotRegular}
	case err != nil:
		return nil, err
	}
	defer unix.Close(fd)
	return readRegular(dir, name, fd)
}

var errNotRegular = errors.New("it is not a regular file")

// readRegular reads the file, which must be a regular one and of sane size.
func readRegular(dir *os.File, name string, fd int) ([]byte, error) {
	path := dir.Name() + "/" + name
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &RejectedError{Reason: path, Err: errNotRegular}
	}
	if st.Size > maxFile {
		return nil, &RejectedError{Reason: path, Err: fmt.Errorf("it has more than %d bytes", maxFile)}
	}
	text := make([]byte, st.Size)
	for got := 0; got < len(text); {
		n, err := unix.Pread(fd, text[got:], int64(got))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return text[:got], nil // truncated meanwhile: the fingerprint will tell
		}
		got += n
	}
	return text, nil
}

// openAt opens a file of the folder: no symbolic link, no waiting for a FIFO's
// writer, no terminal that becomes ours.
func openAt(dir *os.File, name string) (int, error) {
	fd, err := unix.Openat(int(dir.Fd()), name,
		unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir.Name() + "/" + name, Err: err}
	}
	return fd, nil
}

func openFolder(dir *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), dir.Name()+"/"+name), nil
}
