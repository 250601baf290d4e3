// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/sssdconf"
)

// sssd asks the InfoPipe about what is no certificate, in the way that a login
// asks about one. One that is new enough to validate answers that it cannot
// read it; every other answer is what a login would get.
func (s System) sssd(ctx context.Context) Check {
	const id = idSSSD
	client := infopipe.Client{Address: s.Bus}
	_, err := client.FindByCertificate(ctx, "no certificate")
	var failed *infopipe.Error
	var remote dbus.Error
	switch {
	case errors.As(err, &remote) && remote.Name == "org.freedesktop.DBus.Error.IOError":
		return ok(id, "running, and validates certificates")
	case errors.As(err, &remote) && remote.Name == "org.freedesktop.DBus.Error.AuthFailed" && os.Geteuid() != 0:
		return unknown(id, "running; it answers root only", asRoot())
	case errors.As(err, &failed):
		return broken(id, failed.Problem+cause(failed.Err), advise(failed.Hint+s.unconfigured(failed)))
	case err != nil:
		return broken(id, err.Error(), nil)
	}
	return broken(id, "SSSD knows a user by what is no certificate", advise("is it SSSD that owns org.freedesktop.sssd.infopipe on the bus?"))
}

// unconfigured is what an SSSD that is not there needs first of all.
func (s System) unconfigured(failed *infopipe.Error) string {
	if _, err := sssdconf.Read(s.Root); failed.Outcome != infopipe.Unavailable || !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	and := "; "
	if strings.HasSuffix(failed.Hint, "?") {
		and = " "
	}
	return and + "SSSD has no configuration yet: join a domain (realm join), or write /etc/sssd/sssd.conf"
}

func cause(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// soon is when an expiry is worth a word.
const soon = 30 * 24 * time.Hour

func (s System) authorities() Check {
	const id = idAuthorities
	ca := sssdconf.DefaultCA
	switch config, err := sssdconf.Read(s.Root); {
	case err == nil:
		ca = config.CA()
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, "where SSSD has them cannot be seen: "+err.Error(), asRoot())
	case !errors.Is(err, fs.ErrNotExist):
		return broken(id, "where SSSD has them cannot be seen: "+err.Error(), advise("correct it"))
	}
	path := filepath.Join(s.Root, ca)
	fix := advise("put the certificates of the authorities that issue your users' certificates into " + path + ", PEM, readable by SSSD")
	text, err := safefile.ReadFile(s.Root, ca, 16<<20)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, err.Error(), asRoot())
	case errors.Is(err, fs.ErrNotExist):
		return broken(id, path+" does not exist", fix)
	case err != nil:
		return broken(id, err.Error(), fix)
	}
	if check, unreadable := s.unreadable(id, ca); unreadable {
		return check
	}
	all, err := sssdconf.Authorities(text)
	if err != nil {
		return broken(id, fmt.Sprintf("%s: %v", path, err), fix)
	}
	valid, next := 0, time.Time{}
	for _, authority := range all {
		if s.Now.After(authority.NotAfter) || s.Now.Before(authority.NotBefore) {
			continue
		}
		valid++
		if next.IsZero() || authority.NotAfter.Before(next) {
			next = authority.NotAfter
		}
	}
	what := fmt.Sprintf("%d in %s", len(all), path)
	switch {
	case len(all) == 0:
		return broken(id, path+" has none", fix)
	case valid == 0:
		return broken(id, what+", none of them valid today", fix)
	case valid < len(all):
		return broken(id, fmt.Sprintf("%s, %d of them not valid today", what, len(all)-valid), advise("remove or renew those"))
	case next.Before(s.Now.Add(soon)):
		what += ", one of which expires on " + next.UTC().Format(time.DateOnly)
	}
	return ok(id, what)
}

// unreadable is the check where we can read the authorities, and SSSD cannot,
// which refuses every certificate then.
func (s System) unreadable(id, ca string) (Check, bool) {
	path, err := safefile.Resolve(s.Root, ca)
	if err != nil || !s.here() {
		return Check{}, false
	}
	sssd, running := sssdReader()
	if !running || sssd.may(path) {
		return Check{}, false
	}
	// Not to give it to the process's user, for anybody can name a process so.
	return broken(id, fmt.Sprintf("%s cannot be read by SSSD, which runs as user ID %d", path, sssd.uid),
		run("chmod", "644", path).after("there are no secrets in it")), true
}
