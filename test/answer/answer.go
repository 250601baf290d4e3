// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package answer runs Go's fuzzer on the gate's check of the worker's records, which
// is C: module/answer.c is compiled into the package. The package has a link to it,
// because go only notices changes of files in the package's own directory.
package answer

/*
#include "answer.h"
#include <security/_pam_types.h>
*/
import "C"

import (
	"bytes"
	"encoding/binary"
	"unsafe"
)

// Size is a record's size in bytes.
const Size = int(C.sizeof_struct_answer)

// The kinds of records, and the results of verdicts, which are PAM's codes.
const (
	Log     = C.ANSWER_LOG
	Asking  = C.ANSWER_ASKING
	Verdict = C.ANSWER_VERDICT

	Success      = C.PAM_SUCCESS
	UserUnknown  = C.PAM_USER_UNKNOWN
	Ignore       = C.PAM_IGNORE
	Unavailable  = C.PAM_AUTHINFO_UNAVAIL
	ServiceError = C.PAM_SERVICE_ERR
)

// Record is module/answer.h's struct answer.
type Record struct {
	Magic                       [4]byte
	Kind, Priority, Result, UID uint32
	User                        [264]byte
	Text                        [740]byte
}

// New returns a record. It cuts user and text to fit, so that they may lack a NUL.
func New(kind, priority, result, uid uint32, user, text string) Record {
	r := Record{Magic: [4]byte([]byte(C.ANSWER_MAGIC)), Kind: kind, Priority: priority, Result: result, UID: uid}
	copy(r.User[:], user)
	copy(r.Text[:], text)
	return r
}

// Bytes returns the record as the worker writes it.
func (r Record) Bytes() []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.NativeEndian, r); err != nil {
		panic(err) // of fixed size: cannot happen
	}
	return b.Bytes()
}

// Valid returns the gate's judgement of these bytes, which must be Size long.
func Valid(data []byte) bool {
	return bool(C.answer_valid((*C.struct_answer)(unsafe.Pointer(&data[0]))))
}
