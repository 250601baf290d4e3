// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/godbus/dbus/v5"
)

const owner = ":1.7" // SSSD's unique name in these tests

// awaiting returns a transport that reads a text from the bus, waits for an
// answer to a call of each method, by its serial, and knows SSSD.
func awaiting(text io.Reader, methods ...string) *transport {
	near, far := net.Pipe()
	go func() {
		_, _ = io.Copy(far, text)
		far.Close()
	}()
	t := newTransport(context.Background(), near)
	t.toAuth, t.welcomed, t.infoPipe = strings.NewReader(""), true, owner
	for i, method := range methods {
		t.awaited[uint32(i+1)] = await{method, method == "Hello" || method == "GetNameOwner" || method == "StartServiceByName"}
	}
	return t
}

// message is a reply to a serial, in a byte order.
func message(t testing.TB, order binary.ByteOrder, kind dbus.Type, serial uint32, sender string, body ...any) []byte {
	t.Helper()
	m := dbus.Message{Type: kind, Headers: map[dbus.HeaderField]dbus.Variant{dbus.FieldSender: dbus.MakeVariant(sender)}, Body: body}
	switch kind {
	case dbus.TypeSignal, dbus.TypeMethodCall:
		m.Headers[dbus.FieldPath] = dbus.MakeVariant(dbus.ObjectPath("/x"))
		m.Headers[dbus.FieldInterface] = dbus.MakeVariant("x.y")
		m.Headers[dbus.FieldMember] = dbus.MakeVariant("Z")
	default:
		m.Headers[dbus.FieldReplySerial] = dbus.MakeVariant(serial)
	}
	if kind == dbus.TypeError {
		m.Headers[dbus.FieldErrorName] = dbus.MakeVariant("x.y")
	}
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	var text bytes.Buffer
	if err := m.EncodeTo(&text, order); err != nil {
		t.Fatal(err)
	}
	order.PutUint32(text.Bytes()[8:], 99) // godbus numbers what a connection sends
	return text.Bytes()
}

// handedUp returns what reaches godbus until the bus ends: the serials of the
// answered calls, with "!" for an error instead of the answer.
func handedUp(t testing.TB, transport *transport) (answers []string, end error) {
	t.Helper()
	for {
		m, err := dbus.DecodeMessage(transport)
		if err != nil {
			var invalid dbus.InvalidMessageError
			if errors.As(err, &invalid) {
				continue
			}
			return answers, err
		}
		serial, _ := m.Headers[dbus.FieldReplySerial].Value().(uint32)
		text := string(rune('0' + serial))
		if name, _ := m.Headers[dbus.FieldErrorName].Value().(string); name == errBadAnswer {
			text += "!"
		}
		if m.Type != dbus.TypeMethodReply && m.Type != dbus.TypeError {
			t.Errorf("a message of kind %v", m.Type)
		}
		answers = append(answers, text)
	}
}

func TestOnlyAnswersReachTheDecoder(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	reply := dbus.TypeMethodReply
	path := dbus.ObjectPath("/org/freedesktop/sssd/infopipe/Users/x/1")
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"an answer":                         {message(t, little, reply, 1, owner, path), "1"},
		"an answer in the other byte order": {message(t, big, reply, 1, owner, path), "1"},
		"a list":                            {message(t, big, reply, 2, owner, []dbus.ObjectPath{path, path}), "2"},
		"an empty list":                     {message(t, little, reply, 2, owner, []dbus.ObjectPath{}), "2"},
		"a property":                        {message(t, big, reply, 3, owner, dbus.MakeVariant("alice")), "3"},
		"a boolean":                         {message(t, little, reply, 4, owner, true), "4"},
		"an error":                          {message(t, little, dbus.TypeError, 1, owner, "why"), "1"},
		"an error without a text":           {message(t, little, dbus.TypeError, 1, owner), "1"},
		"the bus's error about SSSD":        {message(t, little, dbus.TypeError, 1, busName, "why"), "1"},
		"the bus's own answer":              {message(t, little, reply, 5, busName, owner), "5"},

		"a signal":                        {message(t, little, dbus.TypeSignal, 0, ":1.66", "x"), ""},
		"a method call":                   {message(t, little, dbus.TypeMethodCall, 0, ":1.66", "x"), ""},
		"an answer of somebody else":      {message(t, little, reply, 1, ":1.66", path), ""},
		"an error of somebody else":       {message(t, little, dbus.TypeError, 1, ":1.66", "why"), ""},
		"the bus answers for SSSD":        {message(t, little, reply, 1, busName, path), ""},
		"SSSD answers for the bus":        {message(t, little, reply, 5, owner, ":1.66"), ""},
		"an answer to what nobody asked":  {message(t, little, reply, 77, owner, path), ""},
		"an answer, twice":                {bytes.Repeat(message(t, little, reply, 1, owner, path), 2), "1"},
		"an answer that is too large":     {message(t, little, reply, 3, owner, dbus.MakeVariant(strings.Repeat("x", maxAnswer))), ""},
		"a signal that is very large":     {message(t, little, dbus.TypeSignal, 0, ":1.66", make([]byte, 30<<20)), ""},
		"a signal with deep containers":   {message(t, little, dbus.TypeSignal, 0, ":1.66", dbus.MakeVariant(dbus.MakeVariant(dbus.MakeVariant([][][]string{{{"x"}}})))), ""},
		"an answer of another type":       {message(t, little, reply, 1, owner, "x"), "1!"},
		"an answer without a value":       {message(t, little, reply, 1, owner), "1!"},
		"an answer of two values":         {message(t, little, reply, 1, owner, path, path), "1!"},
		"a property of another type":      {message(t, little, reply, 3, owner, dbus.MakeVariant([]string{"x"})), "3!"},
		"a property in a property":        {message(t, little, reply, 3, owner, dbus.MakeVariant(dbus.MakeVariant("x"))), "3!"},
		"a property of maps":              {bytes.Replace(message(t, little, reply, 3, owner, dbus.MakeVariant(map[string]bool{"x": true})), []byte("a{sb}"), []byte("a{bb}"), 1), "3!"},
		"an error that is no text":        {message(t, little, dbus.TypeError, 1, owner, uint32(7)), "1!"},
		"a boolean that is neither":       {corrupt(message(t, little, reply, 4, owner, true), -4, 2), "4!"},
		"a path that has no end":          {corrupt(message(t, little, reply, 1, owner, path), -1, 'x'), "1!"},
		"a path with a NUL":               {corrupt(message(t, little, reply, 1, owner, path), -3, 0), "1!"},
		"a path that is longer than said": {corrupt(message(t, little, reply, 1, owner, path), -len(path)-5, byte(len(path)-1)), "1!"},
		"a kind that nobody knows":        {corrupt(message(t, little, reply, 1, owner, path), 1, 200), ""},
		"header fields that are none":     {corrupt(message(t, little, reply, 1, owner, path), fixedSize, 77), ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := append(test.text, message(t, little, reply, 6, owner, "after it")...)
			for size, r := range map[string]io.Reader{"at once": bytes.NewReader(text), "byte by byte": iotest.OneByteReader(bytes.NewReader(text))} {
				if size == "byte by byte" && len(text) > 1<<20 {
					continue
				}
				transport := awaiting(r, "FindByValidCertificate", "ListByCertificate", "Get", "IsOnline", "GetNameOwner", "Ping")
				got, err := handedUp(t, transport)
				if !errors.Is(err, io.EOF) {
					t.Errorf("%s: ended with %v", size, err)
				}
				if want := strings.Fields(test.want + " 6"); !slices.Equal(got, want) {
					t.Errorf("%s: handed up %q, want %q", size, got, want)
				}
			}
		})
	}
}

// TestHeadersThatNoBusPassesOn checks header fields that no library writes.
func TestHeadersThatNoBusPassesOn(t *testing.T) {
	const path = "/org/freedesktop/sssd/infopipe/Users/x/1"
	serial, sender := field(5, 'u', 1), field(7, 's', owner)
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"an answer":                                {raw(kindReturn, field(0, 'o', path), serial, sender, field(8, 'g', "o")), "1"},
		"a sender twice, SSSD the last":            {raw(kindReturn, field(0, 'o', path), serial, field(7, 's', ":1.66"), sender, field(8, 'g', "o")), ""},
		"a sender twice, SSSD the first":           {raw(kindReturn, field(0, 'o', path), serial, sender, field(7, 's', ":1.66"), field(8, 'g', "o")), ""},
		"a serial twice":                           {raw(kindReturn, field(0, 'o', path), field(5, 'u', 77), serial, sender, field(8, 'g', "o")), ""},
		"a type twice":                             {raw(kindReturn, field(0, 'o', path), serial, sender, field(8, 'g', "ah"), field(8, 'g', "o")), ""},
		"no sender":                                {raw(kindReturn, field(0, 'o', path), serial, field(8, 'g', "o")), ""},
		"no serial":                                {raw(kindReturn, field(0, 'o', path), sender, field(8, 'g', "o")), ""},
		"a sender with a NUL":                      {raw(kindReturn, field(0, 'o', path), serial, field(7, 's', owner+"\x00"), field(8, 'g', "o")), ""},
		"a sender that only begins like SSSD":      {raw(kindReturn, field(0, 'o', path), serial, field(7, 's', owner+"7"), field(8, 'g', "o")), ""},
		"a type of the greatest depth":             {raw(kindReturn, field(0, 'o', path), serial, sender, field(8, 'g', deepest)), "1!"},
		"an error of a type of the greatest depth": {raw(kindError, field(0, 'o', path), serial, sender, field(4, 's', "x.y"), field(8, 'g', deepest)), "1!"},
		"an error of two texts":                    {message(t, binary.LittleEndian, dbus.TypeError, 1, owner, "why", "because"), "1!"},
		"an error whose name has a NUL":            {raw(kindError, nil, serial, sender, field(4, 's', "x.\x00y")), ""},
		"an error with two names":                  {raw(kindError, nil, serial, sender, field(4, 's', "x.y"), field(4, 's', errNotFound)), ""},
		"the largest answer":                       {raw(kindError, field(0, 's', strings.Repeat("x", maxAnswer-69)), serial, sender, field(4, 's', "x.y"), field(8, 'g', "s")), "1"},
		"one that is larger by a byte":             {raw(kindError, field(0, 's', strings.Repeat("x", maxAnswer-68)), serial, sender, field(4, 's', "x.y"), field(8, 'g', "s")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := append(test.text, message(t, binary.LittleEndian, dbus.TypeMethodReply, 2, owner, "after it")...)
			got, err := handedUp(t, awaiting(bytes.NewReader(text), "FindByValidCertificate", "Ping"))
			if want := strings.Fields(test.want + " 2"); !slices.Equal(got, want) || !errors.Is(err, io.EOF) {
				t.Errorf("%d bytes: handed up %q, ended with %v; want %q", len(test.text), got, err, want)
			}
		})
	}
}

// deepest is a type that has as many containers in containers as D-Bus allows.
var deepest = strings.Repeat("a", 32) + strings.Repeat("(", 32) + "s" + strings.Repeat(")", 32)

// field is a marshalled header field of a basic type, or the value alone if the code is 0.
func field(code, kind byte, value any) []byte {
	var text []byte
	if code != 0 {
		text = []byte{code, 1, kind, 0}
	}
	switch value := value.(type) {
	case int:
		return binary.LittleEndian.AppendUint32(text, uint32(value))
	case string:
		if kind == 'g' {
			text = append(text, byte(len(value)))
		} else {
			text = binary.LittleEndian.AppendUint32(text, uint32(len(value)))
		}
		return append(append(text, value...), 0)
	}
	panic("no such field")
}

// raw is a message of these fields.
func raw(kind byte, body []byte, fields ...[]byte) []byte {
	padded := func(text []byte) []byte { return append(text, make([]byte, -len(text)&7)...) }
	var header []byte
	for _, f := range fields {
		header = append(padded(header), f...)
	}
	text := []byte{'l', kind, 0, 1}
	for _, number := range []int{len(body), 99, len(header)} {
		text = binary.LittleEndian.AppendUint32(text, uint32(number))
	}
	return append(padded(append(text, header...)), body...)
}

// corrupt changes one byte, from the end if it is negative.
func corrupt(text []byte, at int, to byte) []byte {
	if at < 0 {
		at += len(text)
	}
	text[at] = to
	return text
}

func TestAnythingElseThanAMessageEndsTheConnection(t *testing.T) {
	whole := message(t, binary.LittleEndian, dbus.TypeSignal, 0, ":1.66", "x")
	for name, text := range map[string][]byte{
		"a byte order":            corrupt(bytes.Clone(whole), 0, 'x'),
		"a version":               corrupt(bytes.Clone(whole), 3, 2),
		"no kind":                 corrupt(bytes.Clone(whole), 1, 0),
		"no serial":               corrupt(bytes.Clone(whole), 8, 0),
		"a length of the body":    corrupt(bytes.Clone(whole), 7, 0xff),
		"a length of the fields":  corrupt(bytes.Clone(whole), 15, 0xff),
		"both lengths at 2^32-1":  append([]byte("l\x04\x00\x01\xff\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff"), whole...),
		"both lengths just above": append([]byte("l\x04\x00\x01\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x04"), whole...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := handedUp(t, awaiting(bytes.NewReader(text)))
			if !errors.Is(err, errFraming) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestAttackersHaveNoMemoryOfOurs checks that messages of other connections do
// not use memory, however many an attacker sends.
func TestAttackersHaveNoMemoryOfOurs(t *testing.T) {
	large := message(t, binary.LittleEndian, dbus.TypeSignal, 0, ":1.66", make([]byte, 16<<20))
	text := bytes.NewReader(bytes.Repeat(large, 4))
	allocated := testing.AllocsPerRun(1, func() {
		text.Seek(0, io.SeekStart)
		_, _ = handedUp(t, awaiting(text))
	})
	if allocated > 200 {
		t.Errorf("%v allocations", allocated)
	}
}

// TestTheHandshakeIsOneWrite checks that the handshake and the first calls are
// sent in one write.
func TestTheHandshakeIsOneWrite(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	transport := newTransport(context.Background(), near)
	conn, err := dbus.NewConn(transport)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal("")}); err != nil {
		t.Fatal(err)
	}
	conn.BusObject().Go(busName+".Hello", 0, nil)
	conn.Object(service, rootPath).Go(service+".Ping", 0, nil, "PING")
	go transport.flush()
	first := make([]byte, 4096)
	_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := far.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	text := string(first[:n])
	if !strings.HasPrefix(text, "\x00AUTH EXTERNAL ") || !strings.Contains(text, "\r\nBEGIN\r\n") ||
		strings.Contains(text, "NEGOTIATE") || !strings.Contains(text, "Hello") || !strings.Contains(text, "Ping") {
		t.Errorf("wrote %q", text)
	}
}

func FuzzTransport(f *testing.F) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		order := order.(binary.ByteOrder)
		f.Add(message(f, order, dbus.TypeMethodReply, 1, owner, dbus.ObjectPath("/x")))
		f.Add(message(f, order, dbus.TypeMethodReply, 2, owner, []dbus.ObjectPath{"/x", "/y"}))
		f.Add(message(f, order, dbus.TypeMethodReply, 3, owner, dbus.MakeVariant(uint32(7))))
		f.Add(message(f, order, dbus.TypeMethodReply, 4, owner, true))
		f.Add(message(f, order, dbus.TypeError, 1, busName, "x"))
		f.Add(message(f, order, dbus.TypeSignal, 0, ":1.66", map[string]dbus.Variant{"x": dbus.MakeVariant([]string{"x"})}))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		transport := awaiting(bytes.NewReader(text), "FindByValidCertificate", "ListByCertificate", "Get", "IsOnline")
		answers, _ := handedUp(t, transport)
		for i, answer := range answers {
			if !strings.Contains("1234", answer[:1]) || slices.ContainsFunc(answers[:i], func(a string) bool { return a[0] == answer[0] }) {
				t.Errorf("handed up %q", answers)
			}
		}
	})
}

// TestNetMaySeeTheDeadlineFirst checks that the reason is the time also if package net
// observes the deadline before the context does.
func TestNetMaySeeTheDeadlineFirst(t *testing.T) {
	dialer := net.Dialer{Deadline: time.Now().Add(-time.Second)}
	_, err := dialer.DialContext(context.Background(), "unix", "/nonexistent")
	if got := busProblem(context.Background(), err); !strings.Contains(got.Error(), "did not answer in time") {
		t.Errorf("of %v it says: %v", err, got)
	}
}
