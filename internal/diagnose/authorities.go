// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/sssdconf"
)

// soon is how long before an expiry status mentions it.
const soon = 30 * 24 * time.Hour

// maxAsked is how many authorities SSSD is asked about; each takes some 10 ms. A
// distribution's whole file of authorities has fewer.
const maxAsked = 200

// maxFile is the size of the largest file of certificates or revocation lists.
const maxFile = 16 << 20

// authorities checks the file of the authorities that SSSD trusts. If SSSD answers,
// it is asked about each: SSSD accepts no certificate of an authority that it calls
// invalid.
func (s System) authorities(ctx context.Context, answers bool) Check {
	const id = idAuthorities
	config, err := s.sssdConfig()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, "where SSSD has them cannot be seen: "+err.Error(), asRoot())
	case err != nil:
		return broken(id, "where SSSD has them cannot be seen: "+err.Error(), advise("correct it"))
	}
	ca := config.CA()
	if !filepath.IsAbs(ca) {
		return broken(id, fmt.Sprintf("SSSD looks for them in %s, which is not a path from /", ca),
			advise("write the path there, without quotes, then: systemctl restart sssd")).because("it is ca_db, " + config.CAAt())
	}
	path := filepath.Join(s.Root, ca)
	fix := advise("put the certificates of the authorities that issue your users' certificates into " + path + ", PEM, readable by SSSD")
	text, err := safefile.ReadFile(s.Root, ca, maxFile)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, err.Error(), asRoot())
	case errors.Is(err, fs.ErrNotExist):
		if strings.ContainsAny(ca, "#;") {
			fix = advise("SSSD takes all of the line for the path: put the comment on a line of its own, then: systemctl restart sssd")
		}
		return broken(id, path+" does not exist", fix).because(elsewhere(config))
	case err != nil:
		return broken(id, err.Error(), advise("ca_db in the section [ifp] has to name a file with certificates, PEM"))
	}
	if check, unreadable := s.unreadable(id, ca); unreadable {
		return check
	}
	if bytes.HasPrefix(text, []byte("\ufeff-----BEGIN")) {
		return broken(id, path+" begins with a byte order mark, which hides its first certificate from SSSD", run("sed", "-i", `1s/^\xef\xbb\xbf//`, path))
	}
	all := describeAll(text)
	if len(all) == 0 {
		if form, command := sssdconf.WrongForm(text); form != "" {
			if command != "" {
				fix = advise(command + " -in " + path + " -out NEW, and put NEW in its place")
			}
			return broken(id, path+" is in "+form, fix)
		}
		if damage := malformed(path, text); damage != "" {
			return broken(id, damage, advise(correctPEM))
		}
		return broken(id, path+" has none", fix).because(elsewhere(config))
	}
	what := fmt.Sprintf("%d in %s", len(all), path)
	if answers {
		refused, err := s.refusedAuthorities(ctx, all, config)
		var failed *infopipe.Error
		if errors.As(err, &failed) {
			return broken(id, what+"; asked about one, "+failed.Problem+cause(failed.Err), advise(located(failed.Hint, config))).because(asks(all[0], config))
		}
		if len(refused) > 0 {
			if damage := malformed(path, text); damage != "" {
				return broken(id, damage, advise(correctPEM))
			}
		}
		if len(refused) < len(all) {
			refused = s.unexplained(all, refused)
		}
		if len(refused) > 0 {
			return explainRefused(ctx, id, what, path, all, refused, config)
		}
	}
	return s.dates(id, what, all, fix)
}

// dates checks which authorities are valid today. One that was renewed does not count.
func (s System) dates(id, what string, all []description, fix *Fix) Check {
	var lapsed []description
	next, valid := time.Time{}, map[string]bool{}
	for _, this := range all {
		if this.Err == nil && s.lapsed(this) {
			lapsed = append(lapsed, this)
			continue
		}
		valid[string(this.RawSubject)] = true // if it is malformed, SSSD can tell
		if this.Err == nil && (next.IsZero() || this.NotAfter.Before(next)) {
			next = this.NotAfter
		}
	}
	if len(lapsed) == len(all) {
		return broken(id, what+", none of them valid today", fix)
	}
	lapsed = slices.DeleteFunc(lapsed, func(d description) bool { return valid[string(d.RawSubject)] })
	if len(lapsed) > 0 {
		summary := fmt.Sprintf("%s, %d of them not valid today, such as %s", what, len(lapsed), lapsed[0].Subject)
		if slices.ContainsFunc(lapsed, func(d description) bool { return !d.selfIssued() }) {
			return broken(id, summary, advise("remove or renew those")) // a valid root above it need not have users of its own
		}
		return warning(id, summary, advise("SSSD refuses what they issued: renew them if users have such certificates"))
	}
	if !next.IsZero() && next.Before(s.Now.Add(soon)) {
		what += ", one of which expires on " + next.UTC().Format(time.DateOnly)
	}
	return ok(id, what)
}

func (s System) lapsed(this description) bool {
	return s.Now.After(this.NotAfter) || s.Now.Before(this.NotBefore)
}

// unexplained returns those of the refused authorities that are valid today and share
// their name with no accepted one. Of several roots with one name, such as an old and a
// renewed one, OpenSSL accepts one as a user's certificate, and takes each for an issuer
// (build_chain in its crypto/x509/x509_vfy.c). Dates are checked apart.
func (s System) unexplained(all, refused []description) []description {
	accepted := map[string]bool{}
	for _, authority := range all[:min(len(all), maxAsked)] {
		if !slices.ContainsFunc(refused, func(r description) bool { return bytes.Equal(r.DER, authority.DER) }) {
			accepted[string(authority.RawSubject)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(refused), func(r description) bool {
		return r.Err == nil && r.selfIssued() && (accepted[string(r.RawSubject)] || s.lapsed(r))
	})
}

// sssdConfig returns SSSD's configuration; it is empty if there is none.
func (s System) sssdConfig() (*sssdconf.Config, error) {
	config, err := sssdconf.Read(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return &sssdconf.Config{}, nil
	}
	return config, err
}

// elsewhere returns a hint about a setting by which people give SSSD another file: it is
// for logins with pam_sss.
func elsewhere(config *sssdconf.Config) string {
	const section, key = "pam", "pam_cert_db_path"
	if config.Get(section, key) == "" {
		return ""
	}
	return key + ", " + config.Where(section, key) + ", is for other services; for Cockpit, ca_db in the section [ifp] counts"
}

// refusedAuthorities returns the authorities that SSSD calls invalid. The error is that
// of an SSSD that waits in vain for an OCSP responder.
//
// SSSD asks an OCSP responder only about the certificate of a login, and not about its
// issuers. So about an authority that names a responder it is openssl that is asked: its
// judgement is SSSD's, but without OCSP.
func (s System) refusedAuthorities(ctx context.Context, all []description, config *sssdconf.Config) ([]description, error) {
	options := config.Verification()
	var refused []description
	for _, authority := range all[:min(len(all), maxAsked)] {
		if options.Responder == "" && responder(authority, options) != "" {
			if said := verify(ctx, authority.DER, config); said.Known && said.Error != 0 {
				refused = append(refused, authority)
			}
			continue
		}
		_, err := s.client().FindByCertificate(ctx, inPEM(authority.DER))
		switch {
		case isUndecided(err) && options.Responder != "":
			return nil, err
		case isUndecided(err): // SSSD is only slow now
			return refused, nil
		}
		if isRefusal(err) {
			refused = append(refused, authority)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return refused, nil
}

// explainRefused reports which authorities are refused, and OpenSSL's reason.
func explainRefused(ctx context.Context, id, what, path string, all, refused []description, config *sssdconf.Config) Check {
	first := refused[0]
	summary := fmt.Sprintf("%s, %d of which SSSD calls invalid: %s", what, len(refused), first.Subject)
	if len(refused) == len(all) {
		summary = fmt.Sprintf("%s, all of which SSSD calls invalid", what)
	}
	reason := verify(ctx, first.DER, config)
	switch {
	case reason.noIssuer():
		if problem, next := missingIssuer(first, all, config.CA()); problem != "" {
			return broken(id, summary, advise(next)).because(problem)
		}
		fallthrough
	case reason.Known && reason.Error != 0:
		return broken(id, summary, advise("remove, renew or complete it; /var/log/sssd/p11_child.log has more")).because("OpenSSL says of it: " + reason.Text)
	case reason.Known:
		detail := "OpenSSL finds nothing wrong with it, so SSSD may not be able to read " + strings.Join(append([]string{path}, config.Verification().CRLs...), " or ")
		if address := responder(first, config.Verification()); address != "" {
			detail += ", or to ask the OCSP responder " + address
		}
		return broken(id, summary, advise("see /var/log/sssd/p11_child.log")).because(detail)
	}
	return broken(id, summary, advise("see /var/log/sssd/p11_child.log")).because(reason.unknown())
}

// malformed says where in a file of authorities the certificate is that cannot be read;
// "" if all can be.
func malformed(path string, text []byte) string {
	line := sssdconf.Malformed(text)
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("the certificate in line %d of %s is malformed, so that SSSD may read none there", line, path)
}

const correctPEM = "each certificate begins and ends on lines of its own, and is complete: put it in again"

// unreadable returns a check if SSSD cannot read a file that this process can read:
// SSSD then rejects every certificate.
func (s System) unreadable(id, name string) (Check, bool) {
	if !s.here() {
		return Check{}, false
	}
	sssd, running := sssdReader()
	if !running {
		return Check{}, false
	}
	at, mode := sssd.stopped(s.Root, name, toRead)
	if at == "" {
		return Check{}, false
	}
	// The fix does not give the file to the process's user: every user can start a
	// process of that name.
	return broken(id, fmt.Sprintf("%s cannot be read by SSSD, which runs as user ID %d", filepath.Join(s.Root, name), sssd.uid),
		run("chmod", mode, at).after("there are no secrets in it")), true
}

// revocation checks the files of revocation lists, if SSSD is configured to use any:
// if a list is missing, expired or unreadable, SSSD rejects every certificate.
func (s System) revocation() []Check {
	config, err := s.sssdConfig()
	if err != nil {
		return nil // the check of the authorities says so
	}
	options := config.Verification()
	if options.Off || len(options.CRLs) == 0 {
		return nil
	}
	var checks []Check
	for _, name := range options.CRLs {
		checks = append(checks, s.revocationList(name, config).because("SSSD uses it by certificate_verification, "+config.VerificationAt()))
	}
	return checks
}

func (s System) revocationList(name string, config *sssdconf.Config) Check {
	const id = idRevocation
	path := filepath.Join(s.Root, name)
	text, err := safefile.ReadFile(s.Root, name, maxFile)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(id, err.Error(), asRoot())
	case errors.Is(err, fs.ErrNotExist):
		return broken(id, path+" does not exist: SSSD refuses every certificate", advise("fetch the list, or remove crl_file"))
	case err != nil:
		return broken(id, err.Error(), advise("fetch the list, or remove crl_file"))
	}
	if check, unreadable := s.unreadable(id, name); unreadable {
		return check
	}
	lists, inDER := sssdconf.RevocationLists(text)
	if len(lists) == 0 {
		fix := advise("fetch the list, in PEM, or remove crl_file")
		if inDER {
			fix = run("openssl", "crl", "-inform", "DER", "-in", path, "-out", path)
			return broken(id, path+" is in DER, which SSSD cannot read", fix)
		}
		return broken(id, path+" has no revocation list", fix)
	}
	for _, list := range lists {
		if list == nil || list.NextUpdate.IsZero() || s.Now.Before(list.NextUpdate) {
			continue
		}
		summary := fmt.Sprintf("%s has a list of %s that expired on %s", path, clientcert.Name(list.RawIssuer), list.NextUpdate.UTC().Format(time.DateOnly))
		if config.Verification().SoftCRL {
			return warning(id, summary+": what was revoked since is not known", advise("fetch a new one"))
		}
		return broken(id, summary+": SSSD refuses every certificate of that authority", advise("fetch a new one"))
	}
	return ok(id, fmt.Sprintf("%d in %s", len(lists), path))
}

// snippets reports the files in conf.d that SSSD ignores; nil if there are none.
func (s System) snippets() *Check {
	config, err := s.sssdConfig()
	if err != nil || len(config.Skipped) == 0 {
		return nil
	}
	check := warning(idSnippets, "SSSD ignores "+strings.Join(config.Skipped, "; "), advise("correct that, then: systemctl restart sssd"))
	return &check
}
