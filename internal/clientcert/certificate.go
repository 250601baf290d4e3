// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
)

// Certificate is a client certificate whose fingerprint is that of an instance
// of cockpit-ws.
type Certificate struct {
	Instance string // SHA-256 of DER, 64 lower-case hex digits
	DER      []byte
}

// PEM returns the textual encoding of RFC 7468: this one certificate, in lines
// of 64 characters, and nothing else.
func (c Certificate) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.DER}))
}

var (
	begin = []byte("-----BEGIN CERTIFICATE-----\n")
	end   = []byte("-----END CERTIFICATE-----")
)

// parseCertificate returns the certificate in text, which must be one PEM block
// as GnuTLS writes it for cockpit-tls, and the one of the instance.
// encoding/pem skips what it does not understand, and would find a certificate
// among other text. This parser rejects everything between the two lines that
// is not base64, and a second certificate.
func parseCertificate(text []byte, instance string) (Certificate, error) {
	if len(text) == 0 {
		return Certificate{}, errors.New("there is no certificate in it")
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return Certificate{}, errors.New("there is a NUL byte in it")
	}
	body, ok := bytes.CutPrefix(text, begin)
	if !ok {
		return Certificate{}, errors.New("it does not start with a certificate in PEM")
	}
	body, ok = bytes.CutSuffix(bytes.TrimSuffix(body, []byte("\n")), end)
	if !ok {
		return Certificate{}, errors.New("it does not end with a certificate in PEM")
	}
	der := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	n, err := base64.StdEncoding.Strict().Decode(der, body)
	if err != nil || n == 0 {
		return Certificate{}, errors.New("it is not one certificate in PEM, and nothing else")
	}
	der = der[:n]
	sum := sha256.Sum256(der)
	if fingerprint := hex.EncodeToString(sum[:]); fingerprint != instance {
		return Certificate{}, errors.New("its certificate is another one: " + fingerprint)
	}
	return Certificate{Instance: instance, DER: der}, nil
}
