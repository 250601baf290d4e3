// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/pamconf"
	"pam_cockpit_cert/internal/safefile"
)

func isTrue(value string) bool { return cockpit.IsTrue(value) }

// thePackage names the package, which has another name in Debian.
const thePackage = "pam_cockpit_cert (Debian, Ubuntu: libpam-cockpit-cert)"

// rule checks the rule, and returns the module that it names.
func (s System) rule() (module string, check Check) {
	const id = idRule
	place, file, err := s.pamService().Parsed()
	var none *pamconf.NoServiceError
	switch {
	case errors.As(err, &none):
		return pamconf.Module, broken(id, err.Error(), nil)
	case errors.Is(err, fs.ErrPermission):
		return pamconf.Module, unknown(id, err.Error(), asRoot())
	case err != nil:
		return pamconf.Module, broken(id, err.Error(), advise("correct the file: no login by it is safe"))
	}
	where := place.Path
	if place.Vendor != "" {
		where = filepath.Join(s.Root, place.Vendor)
	}
	if file.FirstAuth() == nil {
		return pamconf.Module, broken(id, where+" has no auth stack, so that logins follow "+filepath.Join(s.Root, pamconf.ConfigDir, "other"),
			advise("restore the file of the package that ships it, cockpit-ws, and install the rule then: "+s.call("pam", "install").Command))
	}
	if err := s.pamService().Incomplete(file, where); err != nil {
		return pamconf.Module, broken(id, err.Error(), advise("restore that file, or correct the rule: logins by it are refused"))
	}
	ours := file.Ours()
	if len(ours) == 0 {
		if line := file.CommentedOut(); line > 0 {
			return pamconf.Module, broken(id, fmt.Sprintf("a comment in line %d of %s", line, where), s.call("pam", "install"))
		}
		return pamconf.Module, broken(id, "not in "+where, s.call("pam", "install"))
	}
	rule := append(pamconf.InAuth(file), ours...)[0]
	what := fmt.Sprintf("in line %d of %s", rule.Line, where)
	switch doubts := pamconf.Warnings(file); {
	case len(doubts) > 0:
		return rule.Module, broken(id, what+"; "+strings.Join(doubts, "; "), advise("edit it by hand, or: "+s.call("pam", "remove").Command+"; "+s.call("pam", "install").Command))
	case !sameControl(rule.Control, pamconf.Control) && s.pamService().PolicyState(file).Policy == pamconf.PolicyAccount:
		return rule.Module, broken(id, fmt.Sprintf("%s, with the control [%s]", what, rule.Control),
			advise(fmt.Sprintf("unless you know better, make that [%s]", pamconf.Control)))
	// NixOS's rules have no '-', and name the module by a path that always exists.
	case !rule.Silent && !filepath.IsAbs(rule.Module):
		return rule.Module, broken(id, what+", without a leading '-'", advise("write -auth, so that logins go on where the module is missing"))
	}
	if ignored := pamconf.ReadArguments(rule.Args).Ignored; len(ignored) > 0 {
		return rule.Module, broken(id, fmt.Sprintf("%s, with options that the module does not have: %s", what, strings.Join(ignored, " ")),
			advise("remove that; pam_cockpit_cert(8) has the options"))
	}
	if block := file.Managed(rule.Line); block != "" {
		return rule.Module, warning(id, what+", in "+block+": its next run may take the rule out", advise("have that tool write the rule, as the first of the auth stack"))
	}
	if pamconf.HardLinks(where) > 0 && s.edits() {
		return rule.Module, warning(id, what+", which has other names by hard links: an edit changes this one alone", advise("make the others symbolic links"))
	}
	if len(rule.Args) > 0 {
		what += ", with " + strings.Join(rule.Args, " ")
	}
	return rule.Module, ok(id, what)
}

// edits reports whether the service's file is edited in place: not the vendor's, nor
// one in Nix's store, whose files share their contents by hard links.
func (s System) edits() bool {
	place, err := s.pamService().Find()
	return err == nil && place.Vendor == ""
}

// sameControl compares the actions of two controls, in whichever order.
func sameControl(a, b string) bool {
	return slices.Equal(slices.Sorted(slices.Values(strings.Fields(a))), slices.Sorted(slices.Values(strings.Fields(b))))
}

// directories returns libpam's directories of modules, in all distributions.
func (s System) directories() []string {
	directories := []string{"/usr/lib64/security", "/lib64/security", "/usr/lib/security", "/lib/security"}
	for _, pattern := range []string{"usr/lib/*-linux-*/security", "lib/*-linux-*/security"} {
		found, err := filepath.Glob(filepath.Join(s.Root, pattern))
		if err != nil {
			continue
		}
		for _, dir := range found {
			directories = append(directories, strings.TrimPrefix(dir, strings.TrimSuffix(s.Root, "/")))
		}
	}
	return directories
}

// modulePath finds the module that a rule names. If there are several, it returns the
// one for this system's architecture; "" if there is none.
func (s System) modulePath(module string) string {
	names := []string{module}
	if !filepath.IsAbs(module) {
		names = nil
		for _, dir := range s.directories() {
			names = append(names, filepath.Join(dir, module))
		}
	}
	machine, known := s.machine()
	first := ""
	for _, name := range names {
		path, err := safefile.Resolve(s.Root, name)
		if err != nil {
			continue
		}
		if found, ok := machineOf(path); !known || ok && found == machine {
			return path
		}
		if first == "" {
			first = path
		}
	}
	return first
}

func (s System) module(ctx context.Context, release cockpit.Version, module string) Check {
	const id = idModule
	path := s.modulePath(module)
	if path == "" {
		return broken(id, module+" is not installed", advise("install "+thePackage))
	}
	file, err := elf.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, err.Error(), asRoot())
	case err != nil:
		return broken(id, fmt.Sprintf("%s is not a shared object: %v", path, err), advise("install "+thePackage+" again"))
	}
	defer file.Close()
	// Cockpit's former module has the same name; only Go's linker makes this section.
	switch foreign := file.Section(".go.buildinfo") == nil; {
	case foreign && !release.NeedsCommand():
		return broken(id, fmt.Sprintf("%s is Cockpit %d's own, which accepts certificates of any issuer", path, release), advise("install "+thePackage))
	case foreign:
		return broken(id, path+" is the one that Cockpit brought, which does nothing since release 248", advise("install "+thePackage))
	}
	if machine, known := s.machine(); known && file.Machine != machine {
		return broken(id, fmt.Sprintf("%s is for %v, and this system is %v", path, file.Machine, machine), advise("install the package for this architecture"))
	}
	if !s.here() {
		return ok(id, path)
	}
	if complaint := load(ctx, path); complaint != "" {
		return broken(id, fmt.Sprintf("%s cannot be loaded: %s", path, complaint), advise("install "+thePackage+" again, and what it needs"))
	}
	return ok(id, path)
}

// machine returns the architecture of the programs that load the module.
func (s System) machine() (elf.Machine, bool) {
	for _, name := range []string{"/usr/libexec/cockpit-session", "/usr/lib/cockpit/cockpit-session", "/usr/bin/env", "/bin/sh"} {
		path, err := safefile.Resolve(s.Root, name)
		if err != nil {
			continue
		}
		if machine, ok := machineOf(path); ok {
			return machine, true
		}
	}
	return 0, false
}

// machineOf returns the architecture of a program or shared object.
func machineOf(path string) (elf.Machine, bool) {
	file, err := elf.Open(path)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	return file.Machine, true
}

// load makes the real ld.so(8) load the module and bind every symbol, in a separate
// process, and returns its error.
func load(ctx context.Context, path string) string {
	command := exec.CommandContext(ctx, "/bin/true")
	command.Env = []string{"LC_ALL=C", "LD_BIND_NOW=1", "LD_PRELOAD=" + path}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	err := command.Run()
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	complaint, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
	complaint = strings.TrimPrefix(complaint, "ERROR: ld.so: ")
	if complaint == "" && err != nil {
		return err.Error()
	}
	return complaint
}
