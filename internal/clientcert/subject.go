// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import "encoding/asn1"

// Subject returns the subject as Name spells it; empty if there is none, or if the
// certificate is malformed.
func (c Certificate) Subject() string {
	var certificate struct {
		TBS struct {
			Version                                      int `asn1:"optional,explicit,default:0,tag:0"`
			Serial, Algorithm, Issuer, Validity, Subject asn1.RawValue
		}
	}
	if _, err := asn1.Unmarshal(c.DER, &certificate); err != nil {
		return ""
	}
	return Name(certificate.TBS.Subject.FullBytes)
}
