// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build !faulty

package main

/*
#include <stdbool.h>
*/
import "C"

import (
	"context"
	"time"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/login"
)

// margin is how long before the gate's deadline the worker gives up, so that
// its answer, which explains more, still arrives.
const margin = 200 * time.Millisecond

// cockpitCertWorker decides one login, and writes its answer to standard
// output. holder is what peer_holder returned, timeout counts seconds.
//
//export cockpitCertWorker
func cockpitCertWorker(holder, timeout C.int, debug, allowUnvalidated C.bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(timeout)*time.Second-margin)
	defer cancel()
	out := answers{fd: 1}
	defer out.recovered()

	log := newLog(out, bool(debug))
	answer := login.Decide(ctx,
		announced{
			Finder: clientcert.Source{
				Proc:   clientcert.Proc,
				TLSDir: clientcert.TLSDir,
				Stdin:  0,
				Holder: int(holder),
			},
			out: out,
		},
		&infopipe.Client{
			Address:          infopipe.SystemBus,
			AllowUnvalidated: bool(allowUnvalidated),
			Log:              log.Debugf,
		}, log)
	if !log.IsLevelEnabled(answer.Level) {
		answer.Message = ""
	}
	out.verdict(answer)
}

// announced is a Finder that tells the gate of the certificate. SSSD is asked next: if
// the deadline passes after that, SSSD is not available.
type announced struct {
	login.Finder
	out answers
}

func (a announced) Find(ctx context.Context) (clientcert.Certificate, error) {
	certificate, err := a.Finder.Find(ctx)
	if err == nil {
		a.out.asking(login.Described(certificate))
	}
	return certificate, err
}
