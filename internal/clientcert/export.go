// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// maxFile is the largest exported file, in bytes; Cockpit has the same limit.
	maxFile = 100_000

	// maxEntries is how many directory entries one search looks at. cockpit-tls
	// exports one file for each open connection, and has fewer descriptors.
	maxEntries = 100_000
)

// exported returns the certificate that cockpit-tls exported for the instance.
// Cockpit up to 249 names the file after the instance. Later releases export a
// file for each connection, with a random name, below a line with the unit's
// control group: 250 to 256 to the same directory, 257 on to its directory clients.
//
// A file's certificate must have the instance's fingerprint, or it is rejected.
// So one good file is enough, whatever other files contain.
func (s Source) exported(ctx context.Context, instance string) (Certificate, error) {
	if instance == withoutCertificate {
		return Certificate{}, none("the browser presented none to Cockpit")
	}
	dir, err := openDirectory(unix.AT_FDCWD, s.TLSDir, 0)
	if errors.Is(err, unix.ENOENT) {
		return Certificate{}, none("cockpit-tls has exported nothing to %s", s.TLSDir)
	}
	if err != nil {
		return Certificate{}, err
	}
	defer dir.close()

	search := search{
		instance: instance,
		header:   []byte("0::" + unitPath + instance + UnitSuffix + "\n"),
		left:     maxEntries,
	}
	if search.named(dir) {
		return search.found, nil
	}
	clients, err := openDirectory(dir.fd, "clients", unix.O_NOFOLLOW)
	switch {
	case err == nil:
		defer clients.close()
		clients.path = s.TLSDir + "/clients"
		if search.scan(ctx, clients) {
			return search.found, nil
		}
	case !errors.Is(err, unix.ENOENT):
		return Certificate{}, err
	}
	if search.scan(ctx, dir) {
		return search.found, nil
	}
	switch {
	case search.rejected != nil:
		return Certificate{}, search.rejected
	case search.failed != nil:
		return Certificate{}, search.failed
	default:
		return Certificate{}, none("cockpit-tls exports no certificate for the instance %s now", instance)
	}
}

// search looks for the certificate of one instance. If it finds none, it reports
// the rejected file, or else the failure, that it met on the way.
type search struct {
	instance string
	header   []byte // the first line of the instance's files, since Cockpit 250
	left     int    // entries still to be looked at
	found    Certificate
	rejected *RejectedError
	failed   error
}

func (s *search) fail(err error) {
	if s.failed == nil {
		s.failed = err
	}
}

func (s *search) reject(f directory, name string, err error) {
	if s.rejected == nil {
		s.rejected = &RejectedError{Reason: fmt.Sprintf("certificate file %q", f.path+"/"+name), Err: err}
	}
}

// named looks at the file that is named after the instance.
func (s *search) named(f directory) bool {
	fd, err := f.open(s.instance)
	switch err {
	case nil:
	case unix.ENOENT:
		return false
	case unix.ELOOP, unix.ENXIO, unix.ENODEV:
		s.reject(f, s.instance, errNotRegular)
		return false
	default:
		s.fail(fmt.Errorf("opening %q: %w", f.path+"/"+s.instance, err))
		return false
	}
	defer unix.Close(fd)
	return s.check(f, s.instance, fd, nil)
}

// scan looks for a file whose first line is the instance's.
func (s *search) scan(ctx context.Context, f directory) bool {
	start := make([]byte, len(s.header))
	entries := f.entries()
	for {
		if err := ctx.Err(); err != nil {
			s.fail(fmt.Errorf("looking through %s: %w", f.path, err))
			return false
		}
		batch, err := entries.next()
		if err != nil {
			s.fail(fmt.Errorf("listing %s: %w", f.path, err))
			return false
		}
		if batch == nil {
			return false
		}
		for name, regular := range batch.files() {
			if s.left--; s.left < 0 {
				s.fail(fmt.Errorf("%s has more than %d entries", f.path, maxEntries))
				return false
			}
			if regular && s.candidate(f, name, start) {
				return true
			}
		}
	}
}

// candidate looks at a file of unknown content. It reads only the first line if
// that is not the instance's.
func (s *search) candidate(f directory, name string, start []byte) bool {
	fd, err := f.open(name)
	switch err {
	case nil:
	case unix.ENOENT: // its connection has been closed
		return false
	case unix.ELOOP, unix.ENXIO, unix.ENODEV: // a link, socket or device, which cockpit-tls never makes
		return false
	default:
		s.fail(fmt.Errorf("opening %q: %w", f.path+"/"+name, err))
		return false
	}
	defer unix.Close(fd)
	n, err := pread(fd, start, 0)
	switch {
	case err == unix.EISDIR || err == unix.ESPIPE:
		return false
	case err != nil:
		s.fail(fmt.Errorf("reading %q: %w", f.path+"/"+name, err))
		return false
	}
	return bytes.Equal(start[:n], s.header) && s.check(f, name, fd, s.header)
}

// check reads a file that claims to be the instance's.
func (s *search) check(f directory, name string, fd int, header []byte) bool {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		s.fail(fmt.Errorf("looking at %q: %w", f.path+"/"+name, err))
		return false
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		s.reject(f, name, errNotRegular)
		return false
	}
	text, err := readAll(fd, int(min(stat.Size, maxFile))+1, maxFile)
	if err != nil {
		s.fail(fmt.Errorf("reading %q: %w", f.path+"/"+name, err))
		return false
	}
	certificate, err := parseFile(text, header, s.instance)
	if err != nil {
		s.reject(f, name, err)
		return false
	}
	s.found = certificate
	return true
}

// parseFile returns the certificate in an exported file with that header.
func parseFile(text, header []byte, instance string) (Certificate, error) {
	if len(text) > maxFile {
		return Certificate{}, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	text, ok := bytes.CutPrefix(text, header)
	if !ok {
		return Certificate{}, errors.New("it does not start with the instance's control group")
	}
	return parseCertificate(text, instance)
}

var errNotRegular = errors.New("it is not a regular file")
