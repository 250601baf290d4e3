// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// Certificate is the one that the browser presented, and that cockpit-tls
// validated in the TLS handshake.
type Certificate struct {
	// Instance is the name of Cockpit's systemd instance for the
	// certificate: the SHA-256 fingerprint of DER, 64 lower-case hex digits.
	Instance string
	DER      []byte
}

// pemType is RFC 7468's label.
const pemType = "CERTIFICATE"

// PEM returns the certificate in RFC 7468's textual encoding, nothing else.
func (c Certificate) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: c.DER}))
}

// parseCertificate reads what must be one certificate in PEM, and the one
// whose fingerprint is the instance's name. Nothing may stand around it: SSSD
// would take the first of two certificates, and skip text before it.
func parseCertificate(text []byte, instance string) (Certificate, error) {
	if len(text) == 0 {
		return Certificate{}, errors.New("it is empty")
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return Certificate{}, errors.New("it has a NUL byte")
	}
	if !bytes.HasPrefix(text, []byte("-----BEGIN "+pemType+"-----")) {
		return Certificate{}, errors.New("it does not begin with a certificate in PEM")
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemType || len(block.Headers) > 0 {
		return Certificate{}, errors.New("its PEM is malformed")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return Certificate{}, errors.New("it has more than one certificate")
	}
	fingerprint := sha256.Sum256(block.Bytes)
	if got := hex.EncodeToString(fingerprint[:]); got != instance {
		return Certificate{}, fmt.Errorf("its fingerprint is %s, not the instance's", got)
	}
	return Certificate{Instance: instance, DER: block.Bytes}, nil
}
