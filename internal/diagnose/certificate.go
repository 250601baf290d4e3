// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/login"
	"pam_cockpit_cert/internal/pamconf"
)

// CertificateReport is the result of a login with the certificate, and the reasons.
type CertificateReport struct {
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	Fingerprint string    `json:"fingerprint"`
	User        string    `json:"user,omitempty"`
	UID         *uint32   `json:"uid,omitempty"`
	Result      string    `json:"result"`
	PAM         string    `json:"pam"`
	Reasons     []string  `json:"reasons,omitempty"`
	Warnings    []string  `json:"warnings,omitempty"`
	Next        string    `json:"next,omitempty"`
}

// ErrRootOnly says that SSSD answers only root.
var ErrRootOnly = errors.New("SSSD answers root only: try again as root")

// Checker asks SSSD and PAM about certificates.
type Checker struct {
	Mapper  login.Mapper
	Service string // the PAM service whose account stack is run; "" for none
	Timeout time.Duration
	Now     time.Time
}

// NewChecker returns a checker with the options of the rule of a PAM service.
func NewChecker(service, bus string) Checker {
	options := pamconf.ReadArguments(arguments(service))
	return Checker{
		Mapper:  &infopipe.Client{Address: bus, AllowUnvalidated: options.AllowUnvalidated},
		Service: service,
		Timeout: options.Timeout,
		Now:     time.Now(),
	}
}

func arguments(service string) []string {
	_, file, err := pamconf.Service{Root: "/", Name: service}.Parsed()
	if err != nil || len(pamconf.InAuth(file)) == 0 {
		return nil
	}
	return pamconf.InAuth(file)[0].Args
}

// Check asks SSSD and PAM about a certificate, and explains the result.
func (c Checker) Check(ctx context.Context, certificate clientcert.Certificate) (CertificateReport, error) {
	explaining := ctx // which is not done when SSSD's time is over
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	report := CertificateReport{Fingerprint: certificate.Instance}
	this := describe(certificate.DER)
	if this.Err != nil {
		report.Reasons = append(report.Reasons, fmt.Sprintf("it is malformed: %v", this.Err))
	} else {
		report.Subject, report.Issuer = this.Subject, this.Issuer
		report.NotBefore, report.NotAfter = this.NotBefore, this.NotAfter
	}

	asked := &remembering{Mapper: c.Mapper}
	answer := login.Map(ctx, certificate, asked)
	if hasName(asked.err, "org.freedesktop.DBus.Error.AuthFailed") && os.Geteuid() != 0 {
		return report, ErrRootOnly
	}
	report.set(answer.Result)
	switch answer.Result {
	case login.Success:
		if report.known(answer.User) && c.Service != "" {
			report.account(explaining, c.Service)
		}
		if report.Result == login.Success.String() {
			report.shell(explaining)
		}
	default:
		report.failed(asked.err)
		report.explain(explaining, this, asked.err, c.Now)
	}
	if answer.Result == login.Success || hasName(asked.err, "sbus.Error.NotFound") {
		report.warnOfStrangers(explaining, c)
	}
	return report, nil
}

// warnOfStrangers asks SSSD about a new self-signed certificate. If SSSD accepts it,
// there is a warning: everyone can make a certificate like the one that was checked.
func (r *CertificateReport) warnOfStrangers(ctx context.Context, c Checker) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	stranger, err := selfSigned(c.Now)
	if err != nil {
		return
	}
	if _, err = c.Mapper.FindByCertificate(ctx, inPEM(stranger)); err == nil || hasName(err, "sbus.Error.NotFound") {
		r.Warnings = append(r.Warnings, "SSSD accepts certificates of any issuer, also self-signed ones: see pam-cockpit-cert status")
	}
}

func (r *CertificateReport) set(result login.Result) {
	r.Result, r.PAM = result.String(), result.PAMName()
}

// remembering keeps the error, because an answer has only its text.
type remembering struct {
	login.Mapper
	err error
}

func (r *remembering) FindByCertificate(ctx context.Context, pem string) (infopipe.User, error) {
	var found infopipe.User
	found, r.err = r.Mapper.FindByCertificate(ctx, pem)
	return found, r.err
}

// known checks, like the module, that this system has a user of that name with the
// same uid.
func (r *CertificateReport) known(found infopipe.User) bool {
	r.User, r.UID = found.Name, &found.UID
	local, err := user.Lookup(found.Name)
	switch {
	case err != nil:
		r.set(login.UserUnknown)
		r.Reasons = append(r.Reasons, fmt.Sprintf("this system does not know the user %s: %v", found.Name, err))
		r.Next = "does getent passwd " + found.Name + " find the user? See full_name_format in sssd.conf(5), and nsswitch.conf(5)"
	case local.Uid != strconv.FormatUint(uint64(found.UID), 10):
		r.set(login.ServiceError)
		r.Reasons = append(r.Reasons, fmt.Sprintf("SSSD means the user ID %d by %s, and this system %s", found.UID, found.Name, local.Uid))
		r.Next = "an account of this system has the name of another one in the directory: rename one of them"
	default:
		return true
	}
	return false
}

func (r *CertificateReport) failed(err error) {
	var failed *infopipe.Error
	if !errors.As(err, &failed) {
		r.Reasons = append(r.Reasons, fmt.Sprint(err))
		return
	}
	reason := failed.Problem
	if failed.Err != nil {
		reason += " (" + failed.Err.Error() + ")"
	}
	r.Reasons, r.Next = append(r.Reasons, reason), hintOf("/", failed)
}
