// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/safefile"
)

// ConfigDir is the directory of the administrator's service files.
const ConfigDir = "/etc/pam.d"

// VendorDirs are the directories in which libpam looks after ConfigDir, in this order;
// openSUSE ships its service files there.
var VendorDirs = []string{"/usr/lib/pam.d", "/usr/etc/pam.d"}

// Service is one service of one system's PAM configuration.
type Service struct {
	Root string // usually "/"
	Name string // usually "cockpit"
}

// Place is the place of a service's file.
type Place struct {
	Path   string // the file, with links followed; it need not exist
	Vendor string // the vendor's file, as this system names it, if there is only that
}

// Check rejects a name that a service cannot have.
func (s Service) Check() error {
	// libpam converts the name that a program gives to lower case.
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@", r)
	}
	if s.Name == "" || s.Name[0] == '.' || strings.ContainsFunc(s.Name, func(r rune) bool { return !ok(r) }) {
		return fmt.Errorf("%.60q is not the name of a PAM service", s.Name)
	}
	return nil
}

// NoServiceError says that the service does not exist.
type NoServiceError struct{ Service }

func (e *NoServiceError) Error() string {
	return fmt.Sprintf("there is no PAM service %s in %s: is the package that ships it (cockpit-ws) installed?",
		e.Name, filepath.Join(e.Root, ConfigDir))
}

// Find returns the place of the service's file, to edit it; *NoServiceError if it does
// not exist.
func (s Service) Find() (Place, error) {
	place, err := s.locate()
	if err == nil && place.Vendor == "" {
		err = s.owned(place.Path)
	}
	return place, err
}

// locate returns the place of the service's file, also if it must not be edited.
func (s Service) locate() (Place, error) {
	name := filepath.Join(ConfigDir, s.Name)
	path, err := safefile.Resolve(s.Root, name)
	if err == nil {
		return Place{Path: path}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Place{}, err
	}
	vendor := ""
	for _, dir := range VendorDirs {
		if safefile.Exists(s.Root, filepath.Join(dir, s.Name)) {
			vendor = filepath.Join(dir, s.Name)
			break
		}
	}
	dir, dirErr := safefile.Resolve(s.Root, ConfigDir)
	if dirErr == nil && path != filepath.Join(dir, s.Name) {
		return Place{}, fmt.Errorf("%s is a link to %s, which does not exist: fix or remove it", filepath.Join(s.Root, name), path)
	}
	if vendor == "" {
		return Place{}, &NoServiceError{s}
	}
	return Place{Path: path, Vendor: vendor}, nil
}

// owned rejects files that a package manager overwrites without asking.
func (s Service) owned(path string) error {
	for _, dir := range VendorDirs {
		vendor, err := safefile.Resolve(s.Root, dir)
		if err == nil && filepath.Dir(path) == vendor {
			link := filepath.Join(s.Root, ConfigDir, s.Name)
			return fmt.Errorf("%s leads to the vendor's %s, which updates overwrite: remove the link, and try again", link, path)
		}
	}
	if store := filepath.Join(s.Root, "/nix/store") + "/"; strings.HasPrefix(path, store) {
		return fmt.Errorf("%s is made by NixOS: set services.pam-cockpit-cert.enable in configuration.nix instead", path)
	}
	return nil
}

// Parsed reads and parses the file that libpam would read.
func (s Service) Parsed() (Place, *File, error) {
	place, err := s.locate()
	if err != nil {
		return place, nil, err
	}
	name := place.Vendor
	if name == "" {
		name = filepath.Join(ConfigDir, s.Name)
	}
	text, err := safefile.ReadFile(s.Root, name, MaxSize)
	if err != nil {
		return place, nil, err
	}
	file, err := Parse(text)
	if err != nil {
		return place, nil, fmt.Errorf("%s: %w", filepath.Join(s.Root, name), err)
	}
	return place, file, nil
}

// isInclude reports whether a text is an unchanged Include of the vendor's file.
func (s Service) isInclude(text []byte) bool {
	return slices.ContainsFunc(VendorDirs, func(dir string) bool {
		return string(text) == string(Include(filepath.Join(dir, s.Name)))
	})
}
