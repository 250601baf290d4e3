// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package bus_test

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/godbus/dbus/v5"
)

// The object path of root, as whom the attackers try to log in.
const rootPath = dbus.ObjectPath("/org/freedesktop/sssd/infopipe/Users/local/0")

// guesses is for how many serials of the login an attacker forges answers: a login
// makes less than ten calls.
const guesses = 16

// attack has the messages that a local user sends, again and again, to a login's
// connection.
type attack struct {
	messages   func(to string) [][]byte
	descriptor bool // each message has a descriptor
	hanging    bool // only the attacker and the bus can close the descriptor's file
	trickle    bool // a byte at a time
	once       bool // once for each connection
	large      bool // the bus itself needs time for each message
}

// attacks first has signals of every kind, which the stock policy allows to every
// connection, and then messages that the bus should reject.
var attacks = map[string]attack{
	"a signal with an array of descriptors that are not there": {messages: signals([]dbus.UnixFDIndex{0, 1, 2})},
	"a signal with a descriptor":                               {messages: signals("x"), descriptor: true},
	"a signal with a descriptor in its body":                   {messages: signals(dbus.UnixFDIndex(0)), descriptor: true},
	"a signal with a descriptor that root cannot close":        {messages: signals("x"), descriptor: true, hanging: true},
	"a signal that is as large as may be":                      {messages: large(31 << 20), once: true, large: true},
	"signals that are as large as may be, without end":         {messages: large(31 << 20), large: true},
	"a signal of a mebibyte":                                   {messages: large(1 << 20), once: true, large: true},
	"a signal with many values":                                {messages: signals(make([]byte, 250), make([]byte, 1<<16), strings.Repeat("x", 1<<16))},
	"a signal with a map from booleans":                        {messages: mapped},
	"a signal with variants in variants":                       {messages: signals(nested(30))},
	"a signal with arrays in arrays":                           {messages: signals([][][][][][][][]string{{{{{{{{"x"}}}}}}}})},
	"a signal with structures in structures": {messages: signals(struct {
		A struct {
			B struct {
				C struct{ D []struct{ E dbus.Variant } }
			}
		}
	}{})},
	"a signal of the other byte order":           {messages: ordered(binary.BigEndian, dbus.TypeSignal, rootPath)},
	"a signal with a header field of each type":  {messages: fields(dbus.TypeSignal)},
	"a signal that says it is SSSD's":            {messages: signals("org.freedesktop.sssd.infopipe", "", ":1.1")},
	"a signal, a byte at a time":                 {messages: signals("slowly"), trickle: true},
	"a call":                                     {messages: ordered(binary.LittleEndian, dbus.TypeMethodCall, "x")},
	"answers, unasked":                           {messages: answers(dbus.TypeMethodReply, rootPath)},
	"names, unasked":                             {messages: answers(dbus.TypeMethodReply, dbus.MakeVariant("root"))},
	"errors, unasked":                            {messages: answers(dbus.TypeError, "no such file or directory")},
	"an answer with a header field of each type": {messages: fields(dbus.TypeMethodReply)},
	"a message of an unknown kind":               {messages: unknown},
	"what is no message":                         {messages: rubbish},
}

func signals(body ...any) func(string) [][]byte {
	return ordered(binary.LittleEndian, dbus.TypeSignal, body...)
}

func ordered(order binary.ByteOrder, kind dbus.Type, body ...any) func(string) [][]byte {
	return func(to string) [][]byte { return [][]byte{message(order, kind, to, 1, body...)} }
}

func answers(kind dbus.Type, body any) func(string) [][]byte {
	return func(to string) (all [][]byte) {
		for serial := range uint32(guesses) {
			all = append(all, message(binary.LittleEndian, kind, to, serial+1, body))
		}
		return all
	}
}

// large returns a signal with an array of variants of that size.
func large(size int) func(string) [][]byte {
	return func(to string) [][]byte {
		text := message(binary.LittleEndian, dbus.TypeSignal, to, 1, []dbus.Variant{})
		elements := bytes.Repeat([]byte{1, 'u', 0, 0, 1, 2, 3, 4}, size/8)
		binary.LittleEndian.PutUint32(text[4:], uint32(4+len(elements)))
		binary.LittleEndian.PutUint32(text[len(text)-4:], uint32(len(elements)))
		return [][]byte{append(text, elements...)}
	}
}

// mapped returns a signal with a map from booleans, which godbus cannot make.
func mapped(to string) [][]byte {
	text := message(binary.LittleEndian, dbus.TypeSignal, to, 1, map[uint32]byte{1: 1})
	return [][]byte{bytes.Replace(text, []byte("a{uy}"), []byte("a{by}"), 1)}
}

func nested(depth int) dbus.Variant {
	v := dbus.MakeVariant("x")
	for range depth {
		v = dbus.MakeVariant(v)
	}
	return v
}

// fields returns a message for each type that a header field with an unknown code may
// have.
func fields(kind dbus.Type) func(string) [][]byte {
	return func(to string) (all [][]byte) {
		for _, value := range []any{
			byte(1), true, int16(1), uint16(1), int32(1), uint32(1), int64(1), uint64(1), 1.5, "x", rootPath,
			dbus.SignatureOf("x"), []byte("x"), map[string]bool{"x": true}, struct{ A, B string }{}, nested(5), []dbus.UnixFDIndex{0},
		} {
			all = append(all, withField(message(binary.LittleEndian, kind, to, 3, "x"), value))
		}
		return all
	}
}

func unknown(to string) [][]byte {
	text := message(binary.LittleEndian, dbus.TypeSignal, to, 1, "x")
	text[1] = 77
	return [][]byte{text}
}

func rubbish(to string) [][]byte {
	text := message(binary.LittleEndian, dbus.TypeSignal, to, 1, "x")
	text[0] = 'x'
	return [][]byte{text}
}

// message returns a message to a name; an answer is one to this serial.
func message(order binary.ByteOrder, kind dbus.Type, to string, serial uint32, body ...any) []byte {
	m := dbus.Message{
		Type: kind,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(to),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(body...)),
		},
		Body: body,
	}
	switch kind {
	case dbus.TypeMethodReply, dbus.TypeError:
		m.Headers[dbus.FieldReplySerial] = dbus.MakeVariant(serial)
	default:
		m.Headers[dbus.FieldPath] = dbus.MakeVariant(rootPath)
		m.Headers[dbus.FieldInterface] = dbus.MakeVariant("org.freedesktop.sssd.infopipe.Users")
		m.Headers[dbus.FieldMember] = dbus.MakeVariant("FindByValidCertificate")
	}
	if kind == dbus.TypeError {
		m.Headers[dbus.FieldErrorName] = dbus.MakeVariant("sbus.Error.NotFound")
	}
	var text bytes.Buffer
	if err := m.EncodeTo(&text, order); err != nil {
		panic(err)
	}
	order.PutUint32(text.Bytes()[8:], 7) // godbus numbers what a connection sends
	return text.Bytes()
}

// withField adds a header field that the specification does not know.
func withField(text []byte, value any) []byte {
	const fixed = 16
	size := int(binary.LittleEndian.Uint32(text[12:]))
	body := text[(fixed+size+7)&^7:]
	header := padded(bytes.Clone(text[:fixed+size]))
	// The body has a structure of a byte and a variant, too.
	field := message(binary.LittleEndian, dbus.TypeSignal, "x.y", 1, struct {
		Code  byte
		Value dbus.Variant
	}{200, dbus.MakeVariant(value)})
	size = int(binary.LittleEndian.Uint32(field[12:]))
	header = append(header, field[(fixed+size+7)&^7:]...)
	binary.LittleEndian.PutUint32(header[12:], uint32(len(header)-fixed))
	return append(padded(header), body...)
}

func padded(text []byte) []byte { return append(text, make([]byte, -len(text)&7)...) }
