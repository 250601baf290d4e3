// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package namespace

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { Main(m) }

// What pam-cockpit-cert remembers in a test is neither the machine's nor another test's.
func TestRecordsStayInTheTest(t *testing.T) {
	Need(t)
	var at unix.Statfs_t
	if err := unix.Statfs("/var/lib", &at); err != nil {
		t.Fatal(err)
	}
	if at.Type != unix.TMPFS_MAGIC {
		t.Errorf("/var/lib is the machine's: its file system has the type %#x", at.Type)
	}
	if _, err := os.Stat("/var/lib/" + record); !os.IsNotExist(err) {
		t.Errorf("there is a record already: %v", err)
	}
	for _, entry := range []string{"/var/lib/dpkg/status", "/var/lib/dpkg/info"} {
		if _, err := os.Stat("/var/lib/dpkg"); err == nil {
			if _, err := os.Stat(entry); err != nil {
				t.Errorf("the machine's packages are gone: %v", err)
			}
		}
	}
}
