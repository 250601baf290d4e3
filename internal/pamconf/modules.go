// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"path"
	"slices"
)

// kind is what a module of the auth stack asks of the user.
type kind int

const (
	kindUnknown  kind = iota
	kindPassword      // asks for a password, which the certificate replaces
	kindKeyring       // opens a keyring or the like with the password; does nothing without it
	kindFactor        // asks for something else, which the user cannot answer after a certificate
	kindQuiet         // asks nothing
	kindPermit
	kindDeny
)

// kinds has the modules of Linux-PAM, SSSD, systemd and the common distributions, among
// them all that SUSE's pam-config writes into an auth stack.
var kinds = map[string]kind{
	"pam_unix.so": kindPassword, "pam_unix2.so": kindPassword, "pam_sss.so": kindPassword, "pam_krb5.so": kindPassword,
	"pam_ldap.so": kindPassword, "pam_winbind.so": kindPassword, "pam_systemd_home.so": kindPassword, "pam_userdb.so": kindPassword,
	"pam_himmelblau.so": kindPassword, "pam_authd.so": kindPassword, "pam_unix_ng.so": kindPassword, "pam_kanidm.so": kindPassword,
	"pam_nam.so": kindPassword, "pam_ccreds.so": kindPassword, "pam_ssh.so": kindPassword, // the passphrase of a key

	"pam_ssh_add.so": kindKeyring, "pam_gnome_keyring.so": kindKeyring, "pam_kwallet5.so": kindKeyring, "pam_kwallet.so": kindKeyring,
	"pam_ecryptfs.so": kindKeyring, "pam_mount.so": kindKeyring, "pam_fscrypt.so": kindKeyring,
	"pam_cryptpass.so": kindKeyring, "pam_csync.so": kindKeyring,

	"pam_fprintd.so": kindFactor, "pam_u2f.so": kindFactor, "pam_oath.so": kindFactor, "pam_google_authenticator.so": kindFactor,
	"pam_yubico.so": kindFactor, "pam_pkcs11.so": kindFactor, "pam_p11.so": kindFactor, "pam_sss_gss.so": kindFactor,
	"pam_fp.so": kindFactor, "pam_fprint.so": kindFactor, "pam_thinkfinger.so": kindFactor,
	"pam_issue.so": kindFactor, "pam_rhosts.so": kindFactor, "pam_timestamp.so": kindFactor,

	"pam_access.so": kindQuiet, "pam_cap.so": kindQuiet, "pam_debug.so": kindQuiet, "pam_echo.so": kindQuiet, "pam_env.so": kindQuiet,
	"pam_exec.so": kindQuiet, "pam_faildelay.so": kindQuiet, "pam_faillock.so": kindQuiet, "pam_group.so": kindQuiet,
	"pam_keyinit.so": kindQuiet, "pam_listfile.so": kindQuiet, "pam_localuser.so": kindQuiet, "pam_nologin.so": kindQuiet,
	"pam_rootok.so": kindQuiet, "pam_securetty.so": kindQuiet, "pam_sepermit.so": kindQuiet, "pam_shells.so": kindQuiet,
	"pam_succeed_if.so": kindQuiet, "pam_tally2.so": kindQuiet, "pam_time.so": kindQuiet, "pam_usertype.so": kindQuiet,
	"pam_warn.so": kindQuiet, "pam_wheel.so": kindQuiet,

	"pam_permit.so": kindPermit, "pam_deny.so": kindDeny,
}

// kind returns the kind of the module that a rule calls.
func (r Rule) kind() kind {
	name := path.Base(r.Module)
	if name == "pam_exec.so" && slices.Contains(r.Args, "expose_authtok") {
		return kindUnknown // it is not known what the program does without a password
	}
	return kinds[name]
}

// unmissed are modules that only control or delay other modules, or read a fingerprint
// in place of a password.
var unmissed = []string{
	"pam_debug.so", "pam_faildelay.so", "pam_localuser.so", "pam_usertype.so",
	"pam_fprintd.so", "pam_fp.so", "pam_fprint.so", "pam_thinkfinger.so",
}

// Missed reports whether a login without this module of the auth stack lacks something.
func Missed(module string) bool {
	name := path.Base(module)
	switch kinds[name] {
	case kindPassword, kindKeyring, kindPermit, kindDeny:
		return false
	}
	return name != Module && !slices.Contains(unmissed, name)
}
