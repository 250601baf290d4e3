// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// Recipe says what is in a root. Another recipe, or another generation, makes
// another root.
type Recipe struct {
	Suite     string   // bullseye, bookworm, trixie or sid
	Packages  []string // besides those of mmdebstrap's minbase; NAME/SUITE-backports takes a backport
	Backports bool     // apt knows the suite's backports, and prefers other packages
	NoUpdates bool     `json:",omitempty"` // the suite alone: updates reach its architectures at different times
	Commands  []string // run by sh as root in the root, once the packages are installed
}

// generation is raised when the way in which roots are made changes.
const generation = 2

// name is different for different recipes.
func (r Recipe) name() string {
	r.Packages = slices.Clone(r.Packages)
	slices.Sort(r.Packages)
	text, err := json.Marshal([]any{generation, mirror(), r})
	if err != nil {
		panic(err) // strings and bools only
	}
	sum := sha256.Sum256(text)
	return r.Suite + "-" + hex.EncodeToString(sum[:8])
}

// common is the recipe of what all roots of the suite have, which has updates.
func (r Recipe) common() Recipe {
	if r.NoUpdates {
		return r
	}
	return Recipe{Suite: r.Suite}
}

// commands are run by sh in the root: they install the packages, and do the rest.
func (r Recipe) commands() []string {
	if len(r.Packages) == 0 {
		return r.Commands
	}
	install := "apt-get -qq --no-install-recommends install " + strings.Join(r.Packages, " ")
	return append([]string{install}, r.Commands...)
}

// mirror returns the address of Debian's archives: PAM_COCKPIT_CERT_MIRROR, or the
// mirror of this machine's apt.
var mirror = sync.OnceValue(func() string {
	if url := os.Getenv("PAM_COCKPIT_CERT_MIRROR"); url != "" {
		return strings.TrimSuffix(url, "/")
	}
	sites, _ := exec.Command("apt-get", "indextargets", "--format", "$(SITE)").Output()
	for _, site := range strings.Fields(string(sites)) {
		if below, ok := strings.CutSuffix(site, "/debian"); ok {
			return below
		}
	}
	return ""
})

// sources returns apt's sources.
func (r Recipe) sources() []string {
	archive, security := "deb "+mirror()+"/debian ", "deb "+mirror()+"/debian-security "
	sources := []string{archive + r.Suite + " main"}
	switch {
	case r.NoUpdates, r.Suite == "sid":
	case r.Suite == "bullseye":
		// The suite is out of support: its security archive has lost packages
		// that its lists still name.
	default:
		sources = append(sources,
			archive+r.Suite+"-updates main",
			security+r.Suite+"-security main")
	}
	if r.Backports {
		sources = append(sources, archive+r.Suite+"-backports main")
	}
	return sources
}

// available returns an error if the suite is not available.
func (r Recipe) available() error {
	if mirror() == "" {
		return errors.New("this machine's apt knows no mirror of Debian: set PAM_COCKPIT_CERT_MIRROR to what debian and debian-security lie below")
	}
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Head(mirror() + "/debian/dists/" + r.Suite + "/InRelease")
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &unavailableError{answer.Request.URL.String(), answer.Status}
	}
	return nil
}

type unavailableError struct{ url, status string }

func (e *unavailableError) Error() string { return e.url + ": " + e.status }
