// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

// busName is the bus itself, as a destination and as a sender.
const busName = "org.freedesktop.DBus"

// maxAnswer bounds an answer, in bytes. SSSD's longest is that for a user of a
// name of 256 bytes, or for some dozens of domains.
const maxAnswer = 64 << 10

// errBadAnswer is the D-Bus error that the transport hands up in the place of an
// answer of another type than expected.
const errBadAnswer = "pam_cockpit_cert.BadAnswer"

// replies has the types that each call of ours may be answered with. A variant's
// are those of what is in it.
var replies = map[string]struct{ signature, variant string }{
	"Hello":                  {"s", ""},
	"GetNameOwner":           {"s", ""},
	"StartServiceByName":     {"u", ""},
	"Ping":                   {"s", ""},
	"FindByValidCertificate": {"o", ""},
	"ListByCertificate":      {"ao", ""},
	"ListDomains":            {"ao", ""},
	"IsOnline":               {"b", ""},
	"Get":                    {"v", "su"},
}

// transport is what godbus talks to in the bus's place.
//
// The system bus is a public place: every local user may send messages to our
// connection, of any kind, type and size, and godbus decodes what it is given
// before it looks who sent it. So nothing reaches it but answers: method returns
// and errors for a call of ours that is unanswered, from whom we asked, with
// types that this call may be answered with, and no larger than SSSD's answers.
// All else is read and forgotten in constant memory. No descriptors are
// negotiated, and none that came along would be received by read(2).
//
// It also says the whole handshake at once, together with the first calls: the
// bus answers them in one go.
type transport struct {
	conn net.Conn
	stop func() bool   // closing it when the context ends
	in   *bufio.Reader // in bufio's size: what is discarded takes no more

	// Used by godbus' reading goroutine alone, once Auth has returned.
	toAuth   io.Reader // what godbus is told in the handshake
	welcomed bool      // the bus has accepted the handshake
	message  []byte    // the buffer of all messages that may be answers
	answer   []byte    // what is left of the answer that is handed up

	mu       sync.Mutex
	begun    bool             // godbus has ended its side of the handshake
	held     []byte           // what is to be written together
	holding  bool             // until flush
	awaited  map[uint32]await // by the serials of our calls
	infoPipe string           // the unique name that owns SSSD's, once known
	ended    error            // why nothing more can be read
}

// await is a call of ours that is unanswered.
type await struct {
	member string
	bus    bool // asked of the bus itself
}

// dial connects to the bus at a "unix:path=" address. Until flush, nothing is
// written.
func dial(ctx context.Context, address string) (*transport, error) {
	path, ok := strings.CutPrefix(address, "unix:path=")
	if !ok || strings.ContainsAny(path, ",;%") {
		return nil, fmt.Errorf("%q is no address of a bus at a Unix socket", address)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return newTransport(ctx, conn), nil
}

// newTransport closes the connection when the context ends. godbus would do so,
// too, but not while it writes to a bus that reads nothing.
func newTransport(ctx context.Context, conn net.Conn) *transport {
	// The effective user: in a set-user-ID program the real one is the caller's.
	user := hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid())))
	return &transport{
		conn:    conn,
		stop:    context.AfterFunc(ctx, func() { conn.Close() }),
		in:      bufio.NewReader(conn),
		toAuth:  strings.NewReader("REJECTED EXTERNAL\r\nOK 0\r\n"),
		held:    []byte("\x00AUTH EXTERNAL " + user + "\r\nBEGIN\r\n"),
		holding: true,
		awaited: map[uint32]await{},
	}
}

// Close implements io.Closer.
func (t *transport) Close() error {
	t.stop()
	return t.conn.Close()
}

// because returns why a connection has ended for an error that says only that it
// has: godbus closes it as soon as nothing more can be read.
func (t *transport) because(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil && (errors.Is(err, dbus.ErrClosed) || errors.Is(err, net.ErrClosed)) {
		return t.ended
	}
	return err
}

// flush writes what was held back, in one system call.
func (t *transport) flush() error {
	t.mu.Lock()
	held := t.held
	t.held, t.holding = nil, false
	t.mu.Unlock()
	_, err := t.conn.Write(held)
	return err
}

// Write takes one message. What godbus says in the handshake before that stays
// here: flush has said it.
func (t *transport) Write(text []byte) (int, error) {
	kept, err := t.keep(text)
	if kept || err != nil {
		return len(text), err
	}
	// Not under the lock, for the bus may first want its answers to be read.
	return t.conn.Write(text)
}

// keep reports whether a text is not to be written, or not yet.
func (t *transport) keep(text []byte) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		t.begun = bytes.Equal(text, []byte("BEGIN\r\n"))
		return true, nil
	}
	if err := t.await(text); err != nil {
		return false, err
	}
	if t.holding {
		t.held = append(t.held, text...)
	}
	return t.holding, nil
}

// await remembers the call that a message of ours is.
func (t *transport) await(message []byte) error {
	if len(message) < fixedSize {
		return errors.New("a message is written in parts")
	}
	head, err := parseFixed((*[fixedSize]byte)(message))
	if err != nil {
		return err
	}
	if int64(len(message)) != fixedSize+head.rest() {
		return errors.New("a message is written in parts")
	}
	f, err := parseFields(message, head)
	if err != nil {
		return err
	}
	member := string(f.member)
	if _, known := replies[member]; !known {
		return fmt.Errorf("no answer to %s is known", member)
	}
	t.awaited[head.order.Uint32(message[8:])] = await{member, string(f.destination) == busName}
	return nil
}

// Read hands up the next answer, in as many parts as godbus likes.
func (t *transport) Read(buffer []byte) (int, error) {
	if n, err := t.toAuth.Read(buffer); err == nil {
		return n, nil
	}
	if len(t.answer) == 0 {
		answer, err := t.next()
		if err != nil {
			t.mu.Lock()
			t.ended = err
			t.mu.Unlock()
			return 0, err
		}
		t.answer = answer
	}
	n := copy(buffer, t.answer)
	t.answer = t.answer[n:]
	return n, nil
}

// next reads messages until one is an answer, which stays as it is until the
// next call.
func (t *transport) next() ([]byte, error) {
	if err := t.welcome(); err != nil {
		return nil, err
	}
	for {
		var text [fixedSize]byte
		if _, err := io.ReadFull(t.in, text[:]); err != nil {
			return nil, err
		}
		head, err := parseFixed(&text)
		if err != nil {
			return nil, err
		}
		if head.kind != kindReturn && head.kind != kindError || head.rest() > maxAnswer-fixedSize {
			if err := t.discard(head.rest()); err != nil {
				return nil, err
			}
			continue
		}
		message := slices.Grow(t.message[:0], fixedSize+int(head.rest()))[:fixedSize+int(head.rest())]
		t.message = message
		copy(message, text[:])
		if _, err := io.ReadFull(t.in, message[fixedSize:]); err != nil {
			return nil, err
		}
		if answer := t.accept(message, head); answer != nil {
			return answer, nil
		}
	}
}

// discard reads that many bytes, in parts of the reader's buffer.
func (t *transport) discard(n int64) error {
	_, err := io.CopyN(io.Discard, t.in, n)
	return err
}

// welcome reads the bus's only line: BEGIN has no answer.
func (t *transport) welcome() error {
	if t.welcomed {
		return nil
	}
	line, err := t.in.ReadSlice('\n') // no longer than the reader's buffer
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("%w: %.20q", errFraming, line)
	case err != nil:
		return err
	case bytes.HasPrefix(line, []byte("REJECTED")):
		return errors.New("the bus rejects this user")
	case !bytes.HasPrefix(line, []byte("OK ")):
		return fmt.Errorf("%w: %.20q", errFraming, line)
	}
	t.welcomed = true
	return nil
}

// accept returns what to hand up for a return or an error: the message itself,
// an error in its place, or nothing.
func (t *transport) accept(message []byte, head fixed) []byte {
	f, err := parseFields(message, head)
	if err != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	call, asked := t.awaited[f.replySerial]
	fromBus := string(f.sender) == busName
	// For SSSD the bus says that SSSD is not there, or ended.
	mayAnswer := fromBus && (call.bus || head.kind == kindError) || !call.bus && string(f.sender) == t.infoPipe && t.infoPipe != ""
	if !asked || !mayAnswer {
		return nil
	}
	delete(t.awaited, f.replySerial)
	v := values{text: message, at: int(head.bodyAt()), order: head.order}
	if problem := v.problem(call.member, head.kind, string(f.signature)); problem != "" {
		return badAnswer(f.replySerial, problem)
	}
	if call.member == "GetNameOwner" && head.kind == kindReturn {
		owner := values{text: message, at: int(head.bodyAt()), order: head.order}
		t.infoPipe = string(owner.string())
	}
	return message
}

// problem says what is wrong with the body of an answer, and "" if nothing is.
func (v *values) problem(member string, kind byte, signature string) string {
	expected := replies[member]
	if kind == kindError { // has a text, or none
		expected.signature = strings.Repeat("s", min(len(signature), 1))
	}
	is := signature
	if signature == "v" && expected.signature == "v" {
		is = string(v.signature())
		if len(is) == 1 && strings.Contains(expected.variant, is) {
			expected.signature = is
		}
	}
	switch {
	case is != expected.signature:
		return fmt.Sprintf("SSSD answered %s with a value of type %.40q", member, is)
	case is != "" && !v.read(is), v.bad, v.at != len(v.text):
		return fmt.Sprintf("SSSD answered %s with what is no value of type %q", member, is)
	}
	return ""
}

// badAnswer is the message of an error.
func badAnswer(serial uint32, problem string) []byte {
	message := dbus.Message{
		Type: dbus.TypeError,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldErrorName:   dbus.MakeVariant(errBadAnswer),
			dbus.FieldReplySerial: dbus.MakeVariant(serial),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(problem)),
		},
		Body: []any{problem},
	}
	var text bytes.Buffer
	if err := message.EncodeTo(&text, binary.LittleEndian); err != nil {
		return nil // as if it had not come
	}
	return text.Bytes()
}
