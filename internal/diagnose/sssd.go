// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/sssdconf"
)

// sssd probes the InfoPipe with an invalid certificate, like a login: an SSSD that can
// validate answers that it cannot read the certificate, and any other answer is the
// one that a login would get. It returns whether SSSD can be asked more.
func (s System) sssd(ctx context.Context) (check Check, answers bool) {
	const id = idSSSD
	_, err := s.client().FindByCertificate(ctx, "no certificate")
	var failed *infopipe.Error
	switch {
	case hasName(err, "org.freedesktop.DBus.Error.IOError"):
		return ok(id, "running"), true
	case hasName(err, "org.freedesktop.DBus.Error.AuthFailed") && os.Geteuid() != 0:
		return unknown(id, "running; it answers root only", asRoot()), false
	case errors.As(err, &failed):
		fix := advise(failed.Hint)
		if errors.Is(err, infopipe.ErrNotStarted) {
			fix = cmp.Or(notStarting(s.Root), fix)
		}
		check := broken(id, failed.Problem+cause(failed.Err), fix)
		if suspicious(err) {
			check = check.because(suspicion())
		}
		return check, false
	case err != nil:
		return broken(id, err.Error(), nil), false
	}
	return broken(id, "SSSD maps an invalid certificate to a user", advise("is it SSSD that owns org.freedesktop.sssd.infopipe on the bus?")), false
}

func (s System) client() *infopipe.Client { return &infopipe.Client{Address: s.Bus} }

func hasName(err error, name string) bool {
	var remote dbus.Error
	return errors.As(err, &remote) && remote.Name == name
}

// isRefusal reports whether SSSD found the certificate itself invalid.
func isRefusal(err error) bool {
	var failed *infopipe.Error
	return errors.As(err, &failed) && failed.Outcome == infopipe.NotMapped && hasName(err, "sbus.Error.Errno")
}

// validation asks SSSD about a new self-signed certificate. If SSSD does not call it
// invalid, an attacker can log in with a certificate that the attacker has made.
func (s System) validation(ctx context.Context) Check {
	const id = idValidation
	stranger, err := selfSigned(s.Now)
	if err != nil {
		return unknown(id, "making a certificate to try: "+err.Error(), nil)
	}
	found, err := s.client().FindByCertificate(ctx, inPEM(stranger))
	var failed *infopipe.Error
	switch accepted := err == nil || hasName(err, "sbus.Error.NotFound") || hasName(err, "org.freedesktop.DBus.Error.InvalidArgs"); {
	case isRefusal(err):
		return ok(id, "SSSD rejects a self-signed certificate")
	case !accepted && errors.As(err, &failed):
		return broken(id, "SSSD does not judge a certificate: "+failed.Problem+cause(failed.Err), advise(hintOf(s.Root, failed)))
	case !accepted:
		return broken(id, "SSSD does not judge a certificate: "+err.Error(), nil)
	}
	summary := "SSSD accepts certificates of any issuer: it did not refuse a self-signed one"
	if err == nil {
		summary += ", and would be " + found.Name
	}
	if config, err := sssdconf.Read(s.Root); err == nil && config.Verification().Off {
		return broken(id, summary, advise("remove it, then: systemctl restart sssd")).
			because("the cause is no_verification in certificate_verification, " + config.VerificationAt())
	}
	return broken(id, summary, advise("turn certificates off (pam-cockpit-cert disable) until SSSD answers that such a certificate is invalid"))
}

// selfSigned makes a certificate, in DER.
func selfSigned(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "pam-cockpit-cert status"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
}

func inPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// notStarting returns what in its configuration keeps an SSSD from starting, and what to
// do; nil if the configuration tells nothing.
func notStarting(root string) *Fix {
	config, err := sssdconf.Read(root)
	var syntax *sssdconf.SyntaxError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return advise("SSSD has no configuration yet: join a domain (realm join), or write /etc/sssd/sssd.conf")
	case errors.As(err, &syntax):
		return advise("correct " + err.Error())
	case err != nil:
		return nil
	case config.Refused != nil:
		return run(config.Refused.Fix...).after("SSSD refuses " + config.Refused.File + ": " + config.Refused.Reason)
	case len(config.Domains()) == 0:
		return advise("SSSD has no domain: domains in the section [sssd] of sssd.conf(5) names none that has a section [domain/NAME]")
	}
	return nil
}

func cause(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}
