// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"errors"
	"os"

	"pam_cockpit_cert/internal/infopipe"
)

// denials is the command that shows what SELinux denied: system calls (AVC), and
// messages of D-Bus (USER_AVC).
const denials = "ausearch -m avc,user_avc,selinux_err -ts recent"

// selinux reports the mode of SELinux; nothing if the kernel has no SELinux.
func (s System) selinux() []Check {
	const id = idSELinux
	text, err := os.ReadFile("/sys/fs/selinux/enforce")
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return []Check{unknown(id, err.Error(), asRoot())}
	case enforces(text):
		return []Check{ok(id, "enforcing").because("what it denied: " + denials)}
	}
	return []Check{ok(id, "permissive")}
}

func enforces(text []byte) bool { return len(text) > 0 && text[0] == '1' }

// suspicious reports whether SELinux may be the cause of a failure to ask SSSD: it may
// make D-Bus reject messages, or drop SSSD's answer, so that the deadline passes.
func suspicious(err error) bool {
	text, readErr := os.ReadFile("/sys/fs/selinux/enforce")
	if readErr != nil || !enforces(text) {
		return false
	}
	for _, name := range []string{"AccessDenied", "NoReply", "Timeout", "TimedOut"} {
		if hasName(err, "org.freedesktop.DBus.Error."+name) {
			return true
		}
	}
	var failed *infopipe.Error
	return errors.As(err, &failed) && failed.Outcome == infopipe.Unavailable && failed.Err == nil // the deadline of this program
}

// suspicion returns the hint about that.
func suspicion() string {
	return "SELinux is enforcing here, and may be the cause: look for sssd_t, cockpit_session_t or dbus in: " + denials
}
