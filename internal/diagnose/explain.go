// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/sssdconf"
)

// explain finds the reasons that SSSD does not tell: SSSD rejects every invalid
// certificate with the same error, and does not tell where it looked for a user. If
// it looked for a user, it has accepted the certificate.
func (r *CertificateReport) explain(ctx context.Context, this description, err error, now time.Time) {
	if suspicious(err) {
		r.Reasons = append(r.Reasons, suspicion())
	}
	var failed *infopipe.Error
	if !errors.As(err, &failed) {
		return
	}
	config, configErr := sssdconf.Read("/")
	if isUndecided(err) && configErr == nil {
		if said := asks(this, config); said != "" {
			r.Reasons = append(r.Reasons, said)
		}
	}
	if errors.Is(err, infopipe.ErrNotStarted) {
		if start := notStarting("/"); start != nil && start.Command != "" {
			r.because(start.Text, start.Command)
		} else if start != nil {
			r.Next = start.Text
		}
	}
	if failed.Outcome != infopipe.NotMapped {
		return
	}
	if isRefusal(err) {
		if configErr != nil {
			config = &sssdconf.Config{}
		}
		r.refused(ctx, this, config, now)
		return
	}
	if configErr != nil {
		r.Reasons = append(r.Reasons, fmt.Sprintf("where SSSD looks for it cannot be seen: %v", configErr))
		return
	}
	r.searched(config, unserved(ctx, infopipe.SystemBus, config), evaluator(ctx, this.DER, evaluation))
}

// refused adds the reason why SSSD calls the certificate invalid, if it can be found.
func (r *CertificateReport) refused(ctx context.Context, this description, config *sssdconf.Config, now time.Time) {
	ca := config.CA()
	options := config.Verification()
	if sssd, running := sssdReader(); running {
		for _, file := range append([]string{ca}, options.CRLs...) {
			if at, mode := sssd.stopped("/", file, toRead); at != "" {
				r.because(fmt.Sprintf("SSSD, which runs as user ID %d, cannot read %s", sssd.uid, file), quoted([]string{"chmod", mode, at}))
				return
			}
		}
	}
	for _, file := range options.CRLs {
		if !safefile.Exists("/", file) {
			r.because("the revocation list "+file+" does not exist", "fetch it, or remove crl_file from certificate_verification, "+config.VerificationAt())
			return
		}
	}
	text, caErr := safefile.ReadFile("/", ca, maxFile)
	trusted := describeAll(text)
	said := verify(ctx, this.DER, config)
	damage := ""
	if !said.Known || said.noIssuer() {
		damage = malformed(ca, text)
	}
	switch {
	case caErr != nil:
		r.because(fmt.Sprintf("whether its issuer is trusted cannot be seen: %v", caErr), "see pam-cockpit-cert status")
	case damage != "":
		r.because(damage, correctPEM)
	case said.Known:
		r.judged(said, this, trusted, config, now)
	case r.outOfDate(this, now):
	default:
		if problem, named := issuerIn(this, trusted); problem != "" && !named {
			r.because(problem+" in "+ca, "if that authority is to be trusted with logins, append its certificate to "+ca+", PEM")
			return
		}
		r.because(said.unknown(), unsaid(this, config))
	}
}

// because adds a reason, and what to do about it.
func (r *CertificateReport) because(reason, next string) {
	r.Reasons, r.Next = append(r.Reasons, reason), next
}

// judged explains the result of openssl, which has verified the certificate like SSSD.
func (r *CertificateReport) judged(said judgement, this description, trusted []description, config *sssdconf.Config, now time.Time) {
	ca, lists := config.CA(), strings.Join(config.Verification().CRLs, ", ")
	switch said.Error {
	case 0:
		r.because("OpenSSL finds nothing wrong with it, and "+ca+" has its issuers", unsaid(this, config))
		return
	case errExpired, errNotYetValid:
		if said.Depth == 0 && r.outOfDate(this, now) {
			return
		}
	case errNoIssuerFound, errNoIssuerHere, errNoIssuerOfLeaf, errSelfSigned, errBadSignature:
		if said.Error == errBadSignature && said.Depth == 0 && this.Digest != "" {
			r.because(fmt.Sprintf("OpenSSL cannot verify its signature, with the digest %s: this system may not allow that digest, or %s has another key in %s", this.Digest, this.Issuer, ca),
				"the user needs a certificate that is signed with SHA-256, for example")
			return
		}
		if said.Error == errBadSignature && said.Depth == 0 && signedBy(this, trusted) {
			r.because(fmt.Sprintf("%s has several keys in %s, and the certificate does not say with which it was signed: OpenSSL tries one", this.Issuer, ca),
				"remove the certificates of that authority that are no longer used; or have it write authority key identifiers")
			return
		}
		if problem, _ := issuerIn(this, trusted); said.Depth == 0 && problem != "" {
			r.because(problem+" in "+ca, "if that authority is to be trusted with logins, append its certificate to "+ca+", PEM")
			return
		}
		if said.noIssuer() {
			if problem, next := missingIssuer(this, trusted, ca); problem != "" {
				r.because(problem, next)
				return
			}
		}
	case errRevoked:
		r.because("it was revoked, by the list in "+lists, "the user needs a new certificate")
		return
	case errNoCRL:
		r.because("there is no revocation list of its issuer in "+lists, "add the list of each authority, or remove crl_file from certificate_verification, "+config.VerificationAt())
		return
	case errCRLExpired:
		r.because("the revocation list of its issuer in "+lists+" has expired", "fetch a new one")
		return
	}
	r.because("OpenSSL says: "+said.Text, "see openssl-verify(1), and certificate_verification in sssd.conf(5)")
}

// unsaid returns what may be the cause if openssl finds nothing wrong.
func unsaid(this description, config *sssdconf.Config) string {
	next := "see /var/log/sssd/p11_child.log"
	if address := responder(this, config.Verification()); address != "" {
		next += "; does the OCSP responder " + address + " say that it was revoked, or not answer? See certificate_verification in sssd.conf(5)"
	}
	return next
}

// searched adds where SSSD looked for a user, and what SSSD's tool tells about its
// rules: each rule that matches, and a few of the others.
func (r *CertificateReport) searched(config *sssdconf.Config, unserved []string, eval func(sssdconf.Rule) sssdconf.Verdict) {
	unknown := false
	for _, domain := range config.Domains() {
		if slices.Contains(unserved, domain) {
			r.Reasons = append(r.Reasons, fmt.Sprintf("not looked for in domain %s, which SSSD does not serve, though sssd.conf has it", domain))
			continue
		}
		shown, others, untried := 0, 0, 0
		for _, search := range config.Search(domain, eval) {
			unknown = unknown || !search.Known && !search.Refused
			if search.Matches && search.User != "" {
				if problem := notMapped(search.User); problem != "" {
					r.Next = fmt.Sprintf("the section of the rule %s %s: correct its name", search.User, problem)
				}
			} else if search.Matches && search.Filter != "" {
				r.Next = "does the directory have that entry, in the search base of the domain? It is looked up again after 15 s"
			}
			switch {
			case search.Matches || shown < maxShown:
				shown++
				r.Reasons = append(r.Reasons, "looked for in "+search.Text)
			case search.Known:
				others++
			default:
				untried++
			}
		}
		if others > 0 {
			r.Reasons = append(r.Reasons, fmt.Sprintf("and by %d more rules of the domain %s, none of which matches", others, domain))
		}
		if untried > 0 {
			r.Reasons = append(r.Reasons, fmt.Sprintf("and by %d more rules of the domain %s, which were not tried", untried, domain))
		}
	}
	if len(unserved) > 0 {
		r.Next += "; if sssd.conf is newer than SSSD's start: systemctl restart sssd"
	}
	if _, err := exec.LookPath(ruleTool); unknown && err != nil {
		r.Next += "; with the package sssd-tools, check says which rules match"
	}
}

// maxShown is how many rules of a domain are shown that do not match.
const maxShown = 5

// outOfDate reports whether the certificate is expired or not valid yet, and adds the
// reason.
func (r *CertificateReport) outOfDate(this description, now time.Time) bool {
	switch {
	case this.Err != nil:
		return false
	case now.After(this.NotAfter):
		r.because(fmt.Sprintf("it expired on %s, %s ago", this.NotAfter.Format(time.DateOnly), days(now.Sub(this.NotAfter))),
			"the user needs a new certificate, unless this system's clock is wrong")
	case now.Before(this.NotBefore):
		r.because(fmt.Sprintf("it is not valid before %s, in %s", this.NotBefore.Format(time.DateOnly), days(this.NotBefore.Sub(now))),
			"is this system's clock right? Otherwise wait")
	default:
		return false
	}
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

// issuerIn returns what is wrong with the certificate's issuer, given that the issuer
// is not accepted, and whether a trusted authority has the issuer's name.
func issuerIn(this description, trusted []description) (problem string, named bool) {
	if this.Err != nil {
		return "", false
	}
	if slices.ContainsFunc(trusted, this.names) {
		return fmt.Sprintf("its issuer %s did not sign it with the key", this.Issuer), true
	}
	return fmt.Sprintf("its issuer %s is missing", this.Issuer), false
}

// signedBy reports whether one of the authorities has signed the certificate, as far as
// Go can tell.
func signedBy(this description, trusted []description) bool {
	certificate, err := x509.ParseCertificate(this.DER)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(trusted, func(a description) bool {
		authority, err := x509.ParseCertificate(a.DER)
		return err == nil && this.names(a) && certificate.CheckSignatureFrom(authority) == nil
	})
}

// missingIssuer returns which certificate the chain of a certificate's issuers lacks, and
// what to do; "" if none is missing.
func missingIssuer(this description, trusted []description, ca string) (problem, next string) {
	for range len(trusted) + 1 {
		if this.Err != nil || this.selfIssued() {
			break
		}
		i := slices.IndexFunc(trusted, this.names)
		if i < 0 {
			return fmt.Sprintf("%s, the issuer of %s, is missing in %s", this.Issuer, this.Subject, ca),
				"append the certificate of " + this.Issuer + " to " + ca + ", PEM; or let chains end before it: partial_chain in certificate_verification, sssd.conf(5)"
		}
		this = trusted[i]
	}
	return "", ""
}
