// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"errors"
	"os"

	"pam_cockpit_cert/internal/infopipe"
)

// denials shows what SELinux denied: system calls (AVC), and what D-Bus asked it
// about (USER_AVC).
const denials = "ausearch -m avc,user_avc,selinux_err -ts recent"

// selinux has nothing to say where the kernel has no SELinux.
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

// suspicious reports whether SELinux may be behind a failure to ask SSSD: under
// it, D-Bus refuses messages, or drops SSSD's answer, so that nothing comes until
// the deadline.
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
	return errors.As(err, &failed) && failed.Outcome == infopipe.Unavailable && failed.Err == nil // our own deadline
}

// suspicion is what to say of it.
func suspicion() string {
	return "SELinux is enforcing here, and may be the cause: look for sssd_t, cockpit_session_t or dbus in: " + denials
}
