// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssd_test

import (
	"os"
	"path/filepath"
	"testing"

	fake "pam_cockpit_cert/internal/testutil/infopipetest"
	"pam_cockpit_cert/internal/testutil/namespace"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

// TestEnvironmentChangesNothing checks that an attacker who controls the host's
// environment cannot log in as root, with variables that name a bus on which an
// impostor maps the certificate to root, and others that libraries read.
func TestEnvironmentChangesNothing(t *testing.T) {
	namespace.Need(t)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s := sssd.New(t, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(local(t))
	evil := fake.StartBus(t, "")
	fake.Serve(t, evil, fake.Answers{"Get name": fake.Property("root"), "Get uidNumber": fake.Property(uint32(0))})
	home := t.TempDir()

	for name, variables := range map[string][]string{
		"a bus of their own":      {"DBUS_SYSTEM_BUS_ADDRESS=" + evil},
		"their session's":         {"DBUS_SESSION_BUS_ADDRESS=" + evil},
		"their starter's":         {"DBUS_STARTER_ADDRESS=" + evil, "DBUS_STARTER_BUS_TYPE=system"},
		"traces of the runtime":   {"GODEBUG=inittrace=1,schedtrace=1,gctrace=1,netdns=cgo+9,allocfreetrace=1"},
		"core dumps":              {"GOTRACEBACK=crash"},
		"no memory":               {"GOMEMLIMIT=1", "GOGC=1"},
		"many processors":         {"GOMAXPROCS=64"},
		"coverage to a file":      {"GOCOVERDIR=" + home},
		"the loader":              {"LD_BIND_NOW=", "LD_LIBRARY_PATH=" + home, "LD_DEBUG_OUTPUT=" + home + "/ld"},
		"a home":                  {"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_RUNTIME_DIR=" + home},
		"resolvers and languages": {"LOCALDOMAIN=evil", "RES_OPTIONS=debug", "LANG=tr_TR.UTF-8", "TZ=/" + home},
		"certificates":            {"SSL_CERT_FILE=" + home + "/ca", "SSL_CERT_DIR=" + home},
		"temporary files":         {"TMPDIR=" + home},
	} {
		t.Run(name, func(t *testing.T) {
			report, syslog := login{certificate: alice, environment: variables}.run(t)
			expect{result: pamhost.Success, user: "alice"}.check(t, report, syslog)
			if lines := syslog.Lines(); len(lines) != 1 {
				t.Errorf("more is logged: %v", lines)
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(home, "*")); err != nil || len(left) > 0 {
		t.Errorf("files were made: %v, %v", left, err)
	}
	if _, err := os.Stat("/core"); err == nil {
		t.Error("a core was dumped")
	}
}
