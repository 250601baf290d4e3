// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build faulty

package main

/*
#include <stdbool.h>
#include <stdint.h>
*/
import "C"

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"pam_cockpit_cert/internal/infopipe"
	"pam_cockpit_cert/internal/login"
	"pam_cockpit_cert/internal/testutil/escape"
)

// cockpitCertWorker of this build misbehaves for the tests of the gate: the
// file "fault" in Cockpit's directory says how. The module as shipped has no
// such switch.
//
//export cockpitCertWorker
func cockpitCertWorker(holder, timeout C.int, debug, allowUnvalidated C.bool) {
	out := answers{fd: 1}
	defer out.recovered()
	fault, err := os.ReadFile("/run/cockpit/tls/fault")
	if err != nil {
		panic(err)
	}
	success := login.Answer{Result: login.Success, User: infopipe.User{Name: "root", UID: 4242}, Message: "not to be logged"}

	if name, ok := strings.CutPrefix(string(fault), "attempt: "); ok { // the sandbox has to prevent it
		out.verdict(failure("attempt: %v", escape.Try(name)))
		return
	}
	switch strings.TrimSpace(string(fault)) {
	case "panic":
		panic("deliberate")
	case "panic in a goroutine": // cannot be recovered: Go prints it and exits with 2
		go panic("deliberate")
		time.Sleep(time.Hour)
	case "segmentation fault":
		// The signal itself: Go turns a nil pointer into a panic.
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Hour)
	case "killed":
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	case "hang":
		time.Sleep(time.Hour)
	case "hang while asking":
		out.asking("certificate X")
		time.Sleep(time.Hour)
	case "ignore every signal and hang":
		for s := syscall.Signal(1); s < 32; s++ {
			ignore(s)
		}
		time.Sleep(time.Hour)
	case "exit silently":
		syscall.Exit(0)
	case "return silently":
	case "garbage":
		_, _ = out.Write([]byte("\x7fELF\x01\x02\n garbage"))
	case "much garbage":
		for {
			_, _ = out.Write([]byte(strings.Repeat("x", 1<<16)))
		}
	case "half a record":
		_, _ = out.Write([]byte("pCC1\x03\x00\x00\x00"))
	case "endless log":
		log := newLog(out, true)
		for {
			log.Info("again")
		}
	case "wrong uid":
		out.verdict(success)
	case "no such user":
		success.User.Name = "nobody-has-this-name"
		out.verdict(success)
	case "result out of range":
		r := record(success)
		r.result = 77
		out.write(r)
	case "success without a user":
		success.User.Name = ""
		out.verdict(success)
	case "user with a newline":
		r := record(success)
		r.user[1] = '\n'
		out.write(r)
	case "user without an end":
		r := record(success)
		for i := range r.user {
			r.user[i] = 'a'
		}
		out.write(r)
	case "text without an end":
		r := record(success)
		for i := range r.text {
			r.text[i] = 'a'
		}
		out.write(r)
	case "user beside a failure":
		r := record(success)
		r.result = C.uint32_t(login.UserUnknown.PAMCode())
		out.write(r)
	case "answer late":
		time.Sleep(time.Second)
		out.verdict(login.Answer{Result: login.Ignore})
	case "verdict, then hang":
		out.verdict(login.Answer{Result: login.Ignore})
		time.Sleep(time.Hour)
	case "hold a file, and hang":
		hold()
		time.Sleep(time.Hour)
	case "hold a file, and answer":
		hold()
		out.verdict(login.Answer{Result: login.Ignore})
		time.Sleep(time.Hour)
	case "descriptors and environment":
		entries, _ := os.ReadDir("/proc/self/fd")
		var open []string
		for _, e := range entries {
			target, _ := os.Readlink("/proc/self/fd/" + e.Name())
			open = append(open, target)
		}
		out.verdict(failure("descriptors %v; environment %s", open, strings.Join(os.Environ(), " ")))
	default:
		panic("no such fault: " + string(fault))
	}
}

func failure(format string, args ...any) login.Answer {
	return login.Answer{Result: login.ServiceError, Message: fmt.Sprintf(format, args...)}
}

// hold opens a file whose closing hangs in the kernel; see test/gate/fuse_test.go.
func hold() {
	if _, err := syscall.Open("/run/cockpit/tls/mount/file", syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
		panic(err)
	}
}

func ignore(s syscall.Signal) {
	// The kernel's struct sigaction with SIG_IGN, see rt_sigaction(2).
	action := [4]uintptr{1}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}
