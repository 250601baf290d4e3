// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package certcheck

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"

	"pam_cockpit_cert/internal/clientcert"
)

// Read finds a certificate in PEM or DER. Of several the first counts, which is
// the user's in a file that has its issuers after it; more says how many follow.
func Read(text []byte) (certificate clientcert.Certificate, more int, err error) {
	var all [][]byte
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" && len(block.Bytes) > 0 {
			all = append(all, block.Bytes)
		}
	}
	if len(all) == 0 {
		var sequence asn1.RawValue
		rest, err := asn1.Unmarshal(text, &sequence)
		if err != nil || sequence.Tag != asn1.TagSequence || len(bytes.TrimSpace(rest)) > 0 {
			return certificate, 0, errors.New("this is no certificate, neither in PEM nor in DER")
		}
		all = [][]byte{sequence.FullBytes}
	}
	fingerprint := sha256.Sum256(all[0])
	return clientcert.Certificate{Instance: hex.EncodeToString(fingerprint[:]), DER: all[0]}, len(all) - 1, nil
}
