// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package diagnose

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pam_cockpit_cert/internal/sssdconf"
)

// judgement is openssl(1)'s result for a certificate that SSSD rejects. SSSD verifies
// it with OpenSSL, but does not tell OpenSSL's error.
type judgement struct {
	Known bool // whether openssl has judged
	Error int  // X509_V_ERR_..., of openssl-verify(1); 0 for none
	Depth int  // the depth of the error: 0 is the certificate itself
	Text  string
}

// unknown says why there is no judgement.
func (j judgement) unknown() string {
	if j.Text != "" {
		return "OpenSSL cannot judge it: " + j.Text
	}
	return "what is wrong with it cannot be told without the program openssl"
}

// The errors for which there is a special explanation.
const (
	errNoIssuerFound  = 2
	errNoCRL          = 3
	errBadSignature   = 7
	errNotYetValid    = 9
	errExpired        = 10
	errCRLExpired     = 12
	errSelfSigned     = 18
	errSelfSignedRoot = 19
	errNoIssuerHere   = 20
	errNoIssuerOfLeaf = 21
	errRevoked        = 23
)

// noIssuer reports whether the chain of issuers is not complete.
func (j judgement) noIssuer() bool {
	return j.Known && slices.Contains([]int{errNoIssuerFound, errNoIssuerHere, errNoIssuerOfLeaf}, j.Error)
}

var verifyForm = regexp.MustCompile(`(?m)^(.*)\nerror (\d+) at (\d+) depth lookup: ?(.*)$`)

// verifyTime is how long one run of openssl may take.
const verifyTime = 5 * time.Second

// verify runs openssl with SSSD's options (do_verification in SSSD's
// src/p11_child/p11_child_openssl.c), except for OCSP.
func verify(ctx context.Context, der []byte, config *sssdconf.Config) judgement {
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	options := config.Verification()
	args := []string{"verify", "-no-CApath", "-nameopt", "RFC2253", "-CAfile", config.CA()}
	if options.PartialChain {
		args = append(args, "-partial_chain")
	}
	if len(options.CRLs) > 0 {
		args = append(args, "-crl_check_all")
	}
	for _, file := range options.CRLs {
		args = append(args, "-CRLfile", file)
	}
	command := tool(ctx, "openssl", args...)
	// SSSD does not trust the system's other authorities.
	command.Env = append(command.Env, "SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent")
	command.Stdin = strings.NewReader(inPEM(der))
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	err := command.Run()
	return judged(said.String(), err == nil)
}

func judged(said string, succeeded bool) judgement {
	match := verifyForm.FindStringSubmatch(said)
	switch {
	case match != nil:
		number, _ := strconv.Atoi(match[2])
		depth, _ := strconv.Atoi(match[3])
		text := match[4]
		if depth > 0 {
			text += " (" + match[1] + ")"
		}
		return judgement{Known: true, Error: number, Depth: depth, Text: text}
	case succeeded:
		return judgement{Known: true}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	return judgement{Text: first}
}
