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
func (s System) sssd(ctx context.Context) Link {
	const name = "SSSD"
	if !s.here() {
		return unused(name, elsewhere)
	}
	client := infopipe.Client{Address: s.Bus}
	_, err := client.FindByCertificate(ctx, "no certificate")
	var failed *infopipe.Error
	var remote dbus.Error
	switch {
	case errors.As(err, &remote) && remote.Name == "org.freedesktop.DBus.Error.IOError":
		return ok(name, "runs, and validates certificates")
	case errors.As(err, &remote) && remote.Name == "org.freedesktop.DBus.Error.AuthFailed" && os.Geteuid() != 0:
		return unseen(name, "runs; it answers root only", asRoot())
	case errors.As(err, &failed):
		return broken(name, failed.Problem+cause(failed.Err), failed.Hint+s.unconfigured(failed))
	case err != nil:
		return broken(name, err.Error(), "")
	}
	return broken(name, "knows a user by what is no certificate", "is it SSSD that owns org.freedesktop.sssd.infopipe on the bus?")
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

func (s System) authorities() Link {
	const name = "authorities"
	ca := sssdconf.DefaultCA
	switch config, err := sssdconf.Read(s.Root); {
	case err == nil:
		ca = config.CA()
	case errors.Is(err, fs.ErrPermission):
		return unseen(name, "where SSSD has them cannot be seen: "+err.Error(), asRoot())
	case !errors.Is(err, fs.ErrNotExist):
		return broken(name, "where SSSD has them cannot be seen: "+err.Error(), "mend it")
	}
	path := filepath.Join(s.Root, ca)
	fix := "put the certificates of the authorities that issue your users' certificates into " + path + ", PEM, readable by SSSD"
	text, err := safefile.ReadFile(s.Root, ca, 16<<20)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unseen(name, err.Error(), asRoot())
	case errors.Is(err, fs.ErrNotExist):
		return broken(name, path+" does not exist", fix)
	case err != nil:
		return broken(name, err.Error(), fix)
	}
	if link, unreadable := s.unreadable(name, ca); unreadable {
		return link
	}
	all, err := sssdconf.Authorities(text)
	if err != nil {
		return broken(name, fmt.Sprintf("%s: %v", path, err), fix)
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
		return broken(name, path+" has none", fix)
	case valid == 0:
		return broken(name, what+", none of them valid today", fix)
	case valid < len(all):
		return broken(name, fmt.Sprintf("%s, %d of them not valid today", what, len(all)-valid), "remove or renew those")
	case next.Before(s.Now.Add(soon)):
		what += ", one of which expires on " + next.UTC().Format(time.DateOnly)
	}
	return ok(name, what)
}

// unreadable is the link where we can read the authorities, and SSSD cannot,
// which refuses every certificate then.
func (s System) unreadable(name, ca string) (Link, bool) {
	path, err := safefile.Resolve(s.Root, ca)
	if err != nil || !s.here() {
		return Link{}, false
	}
	sssd, running := sssdReader()
	if !running || sssd.may(path) {
		return Link{}, false
	}
	// Not to give it to the process's user, for anybody can name a process so.
	return broken(name, fmt.Sprintf("%s cannot be read by SSSD, which runs as user ID %d", path, sssd.uid),
		"chmod 644 "+path+", for there are no secrets in it"), true
}
