// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package scriptlet does the work of the packages' install scripts. It adds the
// rule to Cockpit's PAM service once for each version of the service's file, so
// that it does not overrule an administrator who removes the rule. Before the
// package is removed, it removes everything that refers to the package's files.
package scriptlet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/pamconf"
	"pam_cockpit_cert/internal/sssdconf"
)

const service = "cockpit"

// serviceFile is Cockpit's PAM service, which cockpit-ws ships.
const serviceFile = pamconf.ConfigDir + "/" + service

// ErrIncomplete says that a step failed, about which Warn was called. A package's
// script goes on all the same, because neither logins nor the package manager
// depend on that step.
var ErrIncomplete = errors.New("not everything could be done")

// UnknownError says that the packages have no such script.
type UnknownError struct{ Format, Script string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no script %.40q of a package of the format %.40q", e.Script, e.Format)
}

// Scriptlet has the settings that the scripts of one package share.
type Scriptlet struct {
	Root   string
	Module string            // the module's name or path in the rule; empty for pam_cockpit_cert.so
	Warn   func(line string) // tells the administrator
}

// Run does the work of a package's script. args and in are the script's arguments
// and standard input, from the package manager.
func (s Scriptlet) Run(format, script string, args []string, in io.Reader) error {
	switch format + " " + script {
	case "deb postinst":
		return s.debPostinst(args)
	case "deb prerm":
		return s.debPrerm(args)
	case "rpm posttrans":
		return s.rpmPosttrans()
	case "rpm transfiletriggerin":
		return s.rpmTransfiletriggerin(in)
	case "rpm triggerun":
		return s.rpmTriggerun(args)
	case "rpm preun":
		return s.rpmPreun(args)
	}
	return &UnknownError{format, script}
}

// putIn adds the rule, unless it has already been added for this version of the
// service's file. With an empty version nothing is remembered.
func (s Scriptlet) putIn(version string) error {
	report, err := pamconf.Service{Root: s.Root, Name: service}.Install(pamconf.InstallOptions{Module: s.Module, OnceFor: version})
	if err != nil {
		s.warn("%v", err)
		s.warn("when that is fixed, run: %s", s.installCommand())
		return ErrIncomplete
	}
	for _, warning := range report.Warnings {
		s.warn("warning: %s", warning)
	}
	return nil
}

func (s Scriptlet) installCommand() string {
	if s.Module == "" {
		return "pam-cockpit-cert pam install"
	}
	return "pam-cockpit-cert pam install --module " + s.Module
}

// takeOut removes the rule that putIn added, and the record of that.
func (s Scriptlet) takeOut() error {
	if _, err := (pamconf.Service{Root: s.Root, Name: service}).Remove(true); err != nil {
		s.warn("%v", err)
		return ErrIncomplete
	}
	return nil
}

// leave prepares the removal of the package. remember is called when all files have
// been changed, and before Cockpit is restarted, which takes longer.
func (s Scriptlet) leave(remember func() error) error {
	changed, stays, err := s.withdraw()
	err = errors.Join(err, remember())
	if stays {
		return err
	}
	return errors.Join(err, s.restart(changed))
}

// withdraw removes what refers to the package's files. changed reports whether
// cockpit.conf was changed, and stays whether it still has the Command.
//
// A rule that cannot be removed is harmless: its leading dash makes libpam skip a
// missing module. A Command that cannot be removed is not: for every browser with a
// certificate, cockpit-ws would start a missing program, so that its user could not
// log in at all.
func (s Scriptlet) withdraw() (changed, stays bool, err error) {
	err = s.takeOut()
	if err != nil {
		s.warn("look at %s: the rule could not be taken out", filepath.Join(s.Root, serviceFile))
	}
	report, disableErr := cockpit.DisableCertificates(s.Root)
	if disableErr != nil {
		s.warn("%v", disableErr)
		err = ErrIncomplete
	}
	_, edited, undoErr := sssdconf.Undo(s.Root)
	if undoErr != nil {
		s.warn("%v", undoErr)
		err = ErrIncomplete
	}
	for _, path := range edited {
		s.warn("%s was changed since setup wrote it:", path)
		s.warn("remove it if it is to go")
	}
	config, readErr := cockpit.ReadConfig(s.Root)
	if readErr != nil || config.RunsSessionCommand() {
		s.warn("take Command out of [tls-cert] in %s:", filepath.Join(s.Root, cockpit.ConfigFile))
		s.warn("its program is gone, and no browser with a certificate can log in")
		return report.Changed, true, ErrIncomplete
	}
	return report.Changed, false, err
}

// patience is how long the removal of the package waits for systemd.
const patience = 30 * time.Second

// restart has Cockpit read cockpit.conf again, because a cockpit-ws would go on starting
// the session command. It ends no session: the package may be removed from within one.
func (s Scriptlet) restart(changed bool) error {
	if s.Root != "/" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	open, err := cockpit.StopIdle(ctx)
	if err != nil {
		s.warn("%v", err)
		err = ErrIncomplete
	}
	if err != nil || open.Relayed || open.Any && changed {
		s.warn("Cockpit was not restarted, because that ends the sessions in")
		s.warn("it. Until then, some browsers with a certificate cannot log")
		s.warn("in. When the sessions may end, run:")
		s.warn("systemctl try-restart cockpit")
	}
	return err
}

func (s Scriptlet) warn(format string, args ...any) { s.Warn(fmt.Sprintf(format, args...)) }
