// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pam_cockpit_cert/internal/pamconf"
)

// resultRefused is the result of a login that the account stack, or the shell, ends
// after the certificate was accepted.
const resultRefused = "refused"

// accountTime is how long the account stack may take; one of its modules may ask a
// directory server.
const accountTime = 20 * time.Second

// verdictOfPAM is the result of a service's account stack.
type verdictOfPAM struct {
	Code string   // PAM's name of the result
	Text string   // PAM's text for it
	Said []string // the modules' messages to the user
}

// codesOfAccount has the codes that account modules return, by their numbers in
// security/_pam_types.h.
var codesOfAccount = map[int]string{
	0: "PAM_SUCCESS", 3: "PAM_SERVICE_ERR", 4: "PAM_SYSTEM_ERR", 6: "PAM_PERM_DENIED", 7: "PAM_AUTH_ERR", 9: "PAM_AUTHINFO_UNAVAIL",
	10: "PAM_USER_UNKNOWN", 12: "PAM_NEW_AUTHTOK_REQD", 13: "PAM_ACCT_EXPIRED", 19: "PAM_CONV_ERR", 27: "PAM_AUTHTOK_EXPIRED", 28: "PAM_MODULE_UNKNOWN",
}

// account makes PAM run the account stack of the service, like a login whose
// certificate is accepted, but opens no session.
func (r *CertificateReport) account(ctx context.Context, service string) {
	_, file, err := (pamconf.Service{Root: "/", Name: service}).Parsed()
	if err != nil {
		r.Warnings = append(r.Warnings, "whether the account may log in was not tried: "+err.Error())
		return
	}
	if len(pamconf.InAuth(file)) == 0 {
		r.Warnings = append(r.Warnings, "no login reaches the module: the PAM service "+service+" does not have its rule; see pam-cockpit-cert status")
	}
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	type answer struct {
		verdict verdictOfPAM
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		verdict, err := runAccountStack(service, r.User)
		answers <- answer{verdict, err}
	}()
	select {
	case <-ctx.Done():
		r.Warnings = append(r.Warnings, fmt.Sprintf("the account stack of the PAM service %s did not answer within %v", service, accountTime))
	case a := <-answers:
		if a.err != nil {
			r.Warnings = append(r.Warnings, "whether the account may log in was not tried: "+a.err.Error())
			return
		}
		r.accounted(service, a.verdict)
	}
}

// accounted reports PAM's result.
func (r *CertificateReport) accounted(service string, verdict verdictOfPAM) {
	if verdict.Code == codesOfAccount[0] {
		return
	}
	r.Result, r.PAM = resultRefused, verdict.Code
	r.because(fmt.Sprintf("the certificate is %s's, but the account stack of the PAM service %s refuses that user: %s", r.User, service, verdict.Text),
		"see the rules in /etc/pam.d/"+service+", and journalctl")
	for _, said := range verdict.Said {
		r.Reasons = append(r.Reasons, "it says: "+said)
	}
	switch verdict.Code {
	case "PAM_ACCT_EXPIRED":
		r.Next = "has the account expired? " + quoted([]string{"chage", "-l", r.User}) + " says when, for a local user"
	case "PAM_NEW_AUTHTOK_REQD", "PAM_AUTHTOK_EXPIRED":
		r.Next = "the user has to change the password elsewhere, since Cockpit cannot ask for one here: passwd"
	}
}

// shell reports a shell that does not allow logins: Cockpit starts its session with
// the user's shell.
func (r *CertificateReport) shell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	entry, err := tool(ctx, "getent", "passwd", "--", r.User).Output()
	fields := strings.Split(strings.TrimSpace(string(entry)), ":")
	if err != nil || len(fields) != 7 {
		return // the user was found, by the same library
	}
	shell := fields[6]
	if shell == "" {
		return // an empty shell means /bin/sh
	}
	info, err := os.Stat(shell)
	switch {
	case err != nil:
		r.unusable(shell, err.Error())
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		r.unusable(shell, "it is not a program")
	case slices.Contains([]string{"nologin", "false"}, filepath.Base(shell)):
		r.unusable(shell, "it is for users who do not log in")
	default:
		shells, err := os.ReadFile("/etc/shells")
		if err == nil && !slices.Contains(strings.Split(string(shells), "\n"), shell) {
			r.Warnings = append(r.Warnings, shell+", the shell of "+r.User+", is not in /etc/shells, which some rules require")
		}
	}
}

func (r *CertificateReport) unusable(shell, why string) {
	r.Result, r.PAM = resultRefused, codesOfAccount[0]
	r.because(fmt.Sprintf("the certificate is %s's, whose shell %s cannot be used: %s", r.User, shell, why),
		"give that user another: "+quoted([]string{"chsh", "-s", "/bin/bash", r.User})+", or loginShell in the directory")
}
