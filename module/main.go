// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package main is pam_cockpit_cert.so, a PAM module in two parts: the gate, in
// C, which libpam calls and which never starts Go in the login process, and
// the worker, in Go, which the gate runs in a child process.
//
//	gate.c         pam_sm_authenticate and pam_sm_setcred
//	options.c      the options of the rule
//	relocations.c  gives the memory of the dynamic loader's tables back
//	worker.c       starts and ends the worker's process, and the keeper between the two
//	resources.c    the login process's resource limits
//	peer.c         the process at the other end of standard input
//	sandbox*.c     the worker's restrictions: its user, files, system calls
//	worker.go      the worker: decides one login
//	answer.*       the worker's answer to the gate
package main

// #cgo LDFLAGS: -lpam
import "C"

// main is never called; -buildmode=c-shared requires it.
func main() {}
