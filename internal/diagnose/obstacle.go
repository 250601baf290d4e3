// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/pamconf"
	"pam_cockpit_cert/internal/safefile"
)

// Obstacle returns why certificates must not be turned on in Cockpit now, because no
// browser with a certificate could log in. It is nil if a login gets as far as SSSD,
// which the administrator may set up later.
func (s System) Obstacle(ctx context.Context) error {
	release, err := cockpit.InstalledVersion(ctx, s.Root)
	if err != nil {
		return fmt.Errorf("%w; install it first", err)
	}
	if release.TooOld() {
		return fmt.Errorf("release %d of Cockpit knows no certificates; it has to be 209 or later", release)
	}
	if release.NeedsCommand() {
		if err := s.executable(s.Command); err != nil {
			return fmt.Errorf("%w; install %s first", err, thePackage)
		}
	}
	module := pamconf.Module
	if _, file, err := s.pamService().Parsed(); err == nil {
		if ours := pamconf.InAuth(file); len(ours) > 0 {
			module = ours[0].Module
		}
	}
	path := s.modulePath(module)
	if path == "" {
		return fmt.Errorf("the PAM module %s is not installed; install %s first", module, thePackage)
	}
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("the PAM module %s cannot be used: %w; install %s again", path, err, thePackage)
	}
	defer file.Close()
	if file.Section(".go.buildinfo") == nil {
		return fmt.Errorf("the PAM module %s is Cockpit's own; install %s first", path, thePackage)
	}
	return nil
}

// executable checks that every user may execute a program, because cockpit-ws's user
// has no special rights.
func (s System) executable(name string) error {
	path, err := safefile.Resolve(s.Root, name)
	if err != nil {
		return fmt.Errorf("%s cannot be executed: %w", name, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s cannot be executed: %w", name, err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o001 == 0 {
		return fmt.Errorf("%s is not executable for all users: %w", path, fs.ErrPermission)
	}
	return nil
}
