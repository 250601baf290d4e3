// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/sssdconf"
)

// explain looks for what SSSD does not say: it refuses whatever is wrong with a
// certificate in the same words, and finds no user without a word on where it
// looked.
func (r *CertificateReport) explain(ctx context.Context, certificate *x509.Certificate, err error, now time.Time) {
	var failed *infopipe.Error
	if !errors.As(err, &failed) || failed.Outcome != infopipe.NotMapped {
		return
	}
	config, configErr := sssdconf.Read("/")
	ca := sssdconf.DefaultCA
	if configErr == nil {
		ca = config.CA()
	}
	var remote dbus.Error
	refused := errors.As(err, &remote) && remote.Name == "sbus.Error.Errno"
	switch text, caErr := safefile.ReadFile("/", ca, 16<<20); {
	case r.invalidToday(certificate, now):
	case caErr != nil:
		r.Reasons = append(r.Reasons, fmt.Sprintf("whether its issuer is trusted cannot be seen: %v", caErr))
	case r.untrusted(certificate, text, ca, now):
	case refused:
		r.Reasons = append(r.Reasons, "its dates are right, and "+ca+" has its issuers")
		r.Next = "was it revoked, does its OCSP responder not answer, or may SSSD not read that file (see pam-cockpit-cert status)? See certificate_verification in sssd.conf(5), and /var/log/sssd/p11_child.log"
	case configErr != nil:
		r.Reasons = append(r.Reasons, fmt.Sprintf("where SSSD looks for it cannot be seen: %v", configErr))
	default:
		r.searched(config, func(rule sssdconf.Rule) sssdconf.Verdict { return evaluate(ctx, certificate.Raw, rule) })
	}
}

// searched says where SSSD looked, and what its rules did with the certificate
// as far as it says.
func (r *CertificateReport) searched(config *sssdconf.Config, eval func(sssdconf.Rule) sssdconf.Verdict) {
	unknown := false
	for _, domain := range config.Domains() {
		for _, search := range config.Search(domain, func(rule sssdconf.Rule) sssdconf.Verdict {
			verdict := eval(rule)
			unknown = unknown || !verdict.Known
			return verdict
		}) {
			r.Reasons = append(r.Reasons, "looked for in "+search)
		}
	}
	if _, err := exec.LookPath(evaluator); unknown && err != nil {
		r.Next += "; with the package sssd-tools, check says which rules match"
	}
}

func (r *CertificateReport) invalidToday(certificate *x509.Certificate, now time.Time) bool {
	switch {
	case now.After(certificate.NotAfter):
		r.Reasons = append(r.Reasons, fmt.Sprintf("it expired on %s, %s ago", certificate.NotAfter.UTC().Format(time.DateOnly), days(now.Sub(certificate.NotAfter))))
		r.Next = "the user needs a new certificate, unless this system's clock is wrong"
	case now.Before(certificate.NotBefore):
		r.Reasons = append(r.Reasons, fmt.Sprintf("it is not valid before %s, in %s", certificate.NotBefore.UTC().Format(time.DateOnly), days(certificate.NotBefore.Sub(now))))
		r.Next = "is this system's clock right? Otherwise wait"
	default:
		return false
	}
	return true
}

func (r *CertificateReport) untrusted(certificate *x509.Certificate, trusted []byte, file string, now time.Time) bool {
	problem := chain(certificate, trusted, now)
	if problem == "" {
		return false
	}
	r.Reasons = append(r.Reasons, problem+" in "+file)
	r.Next = "if that authority is to be trusted with logins, append its certificate to " + file + ", PEM"
	return true
}

func days(d time.Duration) string {
	switch n := int(d.Hours() / 24); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

// maxChain is more than any real chain has.
const maxChain = 10

// chain follows the issuers through the trusted authorities, and says where it
// ends before a self-signed one. SSSD's p11_child does so by OpenSSL.
func chain(certificate *x509.Certificate, trusted []byte, now time.Time) string {
	authorities, err := sssdconf.Authorities(trusted)
	if err != nil {
		return fmt.Sprintf("an authority cannot be read (%v)", err)
	}
	for range maxChain {
		issuer, named := issuerOf(certificate, authorities)
		switch {
		case issuer == nil && named:
			return fmt.Sprintf("its issuer %s did not sign it with the key", certificate.Issuer)
		case issuer == nil:
			return fmt.Sprintf("its issuer %s is missing", certificate.Issuer)
		case now.After(issuer.NotAfter):
			return fmt.Sprintf("its issuer %s expired on %s,", certificate.Issuer, issuer.NotAfter.UTC().Format(time.DateOnly))
		case bytes.Equal(issuer.RawSubject, issuer.RawIssuer):
			return ""
		}
		certificate = issuer
	}
	return "its chain of issuers does not end"
}

// issuerOf returns the authority that signed the certificate, and whether one
// has at least the name.
func issuerOf(certificate *x509.Certificate, authorities []*x509.Certificate) (issuer *x509.Certificate, named bool) {
	for _, authority := range authorities {
		if !bytes.Equal(authority.RawSubject, certificate.RawIssuer) {
			continue
		}
		named = true
		if certificate.CheckSignatureFrom(authority) == nil {
			return authority, true
		}
	}
	return nil, named
}
