// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

/*
#include "answer.h"
*/
import "C"

import (
	"fmt"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"

	"github.com/sirupsen/logrus"

	"pam_cockpit_cert/internal/login"
)

// answers writes the records of answer.h to the gate. Each record is written
// whole, because it is smaller than PIPE_BUF. Writing fails only when the gate
// has ended, and then the error has no reader.
type answers struct{ fd int }

func (out answers) Write(record []byte) (int, error) {
	return syscall.Write(out.fd, record)
}

func (out answers) write(record *C.struct_answer) {
	_, _ = out.Write(encode(record))
}

// encode returns the record's bytes in memory: C's layout is the wire format.
func encode(record *C.struct_answer) []byte {
	copyText(record.magic[:], C.ANSWER_MAGIC)
	return unsafe.Slice((*byte)(unsafe.Pointer(record)), unsafe.Sizeof(*record))
}

// asking tells the gate that SSSD is asked about this certificate.
func (out answers) asking(certificate string) {
	record := C.struct_answer{kind: C.ANSWER_ASKING}
	copyText(record.text[:], certificate)
	out.write(&record)
}

func (out answers) verdict(answer login.Answer) {
	out.write(record(answer))
}

func record(answer login.Answer) *C.struct_answer {
	r := &C.struct_answer{kind: C.ANSWER_VERDICT, priority: priority(answer.Level), result: C.uint32_t(answer.Result.PAMCode())}
	if answer.Result == login.Success {
		r.uid = C.uint32_t(answer.User.UID)
		copyText(r.user[:], answer.User.Name)
	}
	copyText(r.text[:], answer.Message)
	return r
}

// recovered turns a panic into a verdict, and logs its stack line by line.
func (out answers) recovered() {
	problem := recover()
	if problem == nil {
		return
	}
	log := newLog(out, false)
	for _, line := range strings.Split(strings.TrimSpace(string(debug.Stack())), "\n") {
		log.Error(line)
	}
	out.verdict(login.Answer{
		Result:  login.ServiceError,
		Level:   logrus.FatalLevel,
		Message: fmt.Sprintf("the worker broke, please report this: %v", problem),
	})
}

// copyText fills in a C string. It cuts the text to fit, leaves room for the
// NUL (the magic has none), and replaces control characters by spaces, because
// the gate rejects them.
func copyText(to []C.char, text string) {
	size := len(to)
	if size > len(C.ANSWER_MAGIC) {
		size--
	}
	for i := 0; i < len(text) && i < size; i++ {
		c := text[i]
		if c < 0x20 || c == 0x7f {
			c = ' '
		}
		to[i] = C.char(c)
	}
}
