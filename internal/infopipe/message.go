// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Sizes of the D-Bus Specification, section "Message Format".
const (
	fixedSize  = 16      // bytes before the header fields
	maxFields  = 1 << 26 // bytes of header fields in any message
	maxMessage = 1 << 27 // bytes of any message
)

// The kinds of messages that answer a call.
const (
	kindReturn = 2
	kindError  = 3
)

// fixed is the part of a message that says how long it is.
type fixed struct {
	order  binary.ByteOrder
	kind   byte
	fields uint32 // bytes of header fields, without padding
	body   uint32 // bytes
}

// errFraming says that the bus sent something that is not a message. It ends the
// connection, because the start of the next message cannot be known.
var errFraming = errors.New("the bus sent something that is not a D-Bus message")

func parseFixed(text *[fixedSize]byte) (fixed, error) {
	var f fixed
	switch text[0] {
	case 'l':
		f.order = binary.LittleEndian
	case 'B':
		f.order = binary.BigEndian
	default:
		return fixed{}, fmt.Errorf("%w: byte order %#x", errFraming, text[0])
	}
	f.kind = text[1]
	f.body, f.fields = f.order.Uint32(text[4:]), f.order.Uint32(text[12:])
	switch serial := f.order.Uint32(text[8:]); {
	case f.kind == 0 || text[3] != 1 || serial == 0:
		return fixed{}, fmt.Errorf("%w: kind %d, version %d, serial %d", errFraming, f.kind, text[3], serial)
	case f.fields > maxFields || f.rest()+fixedSize > maxMessage:
		return fixed{}, fmt.Errorf("%w: %d bytes of header fields and %d of body", errFraming, f.fields, f.body)
	}
	return f, nil
}

// rest returns how many bytes follow the fixed part.
func (f fixed) rest() int64 { return int64(f.bodyAt()-fixedSize) + int64(f.body) }

// bodyAt returns where the body begins.
func (f fixed) bodyAt() int64 { return (fixedSize + int64(f.fields) + 7) &^ 7 }

// fields are the header fields that matter here, as parts of the message.
type fields struct {
	member, destination, sender, signature []byte
	replySerial                            uint32
}

// fieldTypes has the type of each header field of the specification, by its code.
var fieldTypes = [...]byte{1: 'o', 2: 's', 3: 's', 4: 's', 5: 'u', 6: 's', 7: 's', 8: 'g', 9: 'u'}

var errFields = errors.New("malformed header fields")

// parseFields reads the header fields of a whole message.
func parseFields(message []byte, f fixed) (fields, error) {
	var found fields
	v := values{text: message[:fixedSize+int(f.fields)], at: fixedSize, order: f.order}
	for seen := 0; v.at < len(v.text); {
		v.align(8)
		code := v.byte()
		if code == 0 || int(code) >= len(fieldTypes) || seen&(1<<code) != 0 || !v.is(fieldTypes[code]) {
			return fields{}, errFields
		}
		seen |= 1 << code
		switch code {
		case 3:
			found.member = v.string()
		case 5:
			found.replySerial = v.uint32()
		case 6:
			found.destination = v.string()
		case 7:
			found.sender = v.string()
		case 8:
			found.signature = v.signature()
		case 9:
			v.uint32()
		default:
			v.string()
		}
	}
	if v.bad {
		return fields{}, errFields
	}
	return found, nil
}

// values reads marshalled values, one after the other. A value that is malformed,
// or that ends beyond the text, sets bad, which stays true.
type values struct {
	text  []byte // from the message's beginning, for values are aligned to that
	at    int
	order binary.ByteOrder
	bad   bool
}

// take returns the next n bytes, or none.
func (v *values) take(n uint32) []byte {
	if v.bad || int64(n) > int64(len(v.text)-v.at) {
		v.bad, v.at = true, len(v.text)
		return nil
	}
	taken := v.text[v.at : v.at+int(n)]
	v.at += int(n)
	return taken
}

func (v *values) align(n int) {
	for _, c := range v.take(uint32(-v.at & (n - 1))) {
		v.bad = v.bad || c != 0
	}
}

func (v *values) byte() byte {
	if b := v.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (v *values) uint32() uint32 {
	v.align(4)
	if b := v.take(4); b != nil {
		return v.order.Uint32(b)
	}
	return 0
}

// string reads a string or an object path.
func (v *values) string() []byte { return v.text0(v.uint32()) }

func (v *values) signature() []byte { return v.text0(uint32(v.byte())) }

// is reads a signature, and returns whether it consists of this one basic type.
func (v *values) is(basic byte) bool {
	signature := v.signature()
	return len(signature) == 1 && signature[0] == basic
}

// text0 reads n bytes and the NUL after them.
func (v *values) text0(n uint32) []byte {
	text := v.take(n)
	if v.byte() != 0 || bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) {
		v.bad = true
	}
	return text
}

// read reads a value of one of the types that SSSD's answers have, and returns
// false for any other type.
func (v *values) read(signature string) bool {
	switch signature {
	case "s", "o":
		v.string()
	case "u":
		v.uint32()
	case "b":
		v.bad = v.uint32() > 1 || v.bad
	case "ao":
		size := v.uint32()
		end := v.at + int(size)
		for !v.bad && v.at < end {
			v.string()
		}
		v.bad = v.bad || v.at != end
	default:
		return false
	}
	return true
}
