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

// maxAnswer is the largest answer, in bytes. SSSD's longest real ones have a user
// name of 256 bytes, or some dozens of domains.
const maxAnswer = 64 << 10

// errBadAnswer is the D-Bus error that the transport gives to godbus instead of
// an answer whose type is not the expected one.
const errBadAnswer = "pam_cockpit_cert.BadAnswer"

// replies has the type of the answer to each method that this package calls, and
// for a variant the types of the value in it.
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

// transport is a filter between godbus and the bus.
//
// Every local user may send messages of any kind, type and size to this
// connection, and godbus decodes a message before it looks at the sender: an
// attacker could make it decode malformed messages and fill its memory. So the
// transport passes on only answers: method returns and errors for a call that is
// still open, from the connection that was called, with the type that this
// method's answer has, and no larger than SSSD's answers. It reads and drops all
// other messages in constant memory. It negotiates no descriptors, and read(2)
// does not receive any.
//
// It also sends the whole handshake together with the first calls, so that all
// of them take one round trip.
type transport struct {
	conn net.Conn
	stop func() bool   // closing it when the context ends
	in   *bufio.Reader // in bufio's size: what is discarded takes no more

	// Used by godbus' reading goroutine alone, once Auth has returned.
	toAuth   io.Reader // the handshake's answers for godbus
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

// await is a call that is still open.
type await struct {
	member string
	bus    bool // asked of the bus itself
}

// dial connects to the bus at a "unix:path=" address. Until flush, nothing is
// written.
func dial(ctx context.Context, address string) (*transport, error) {
	path, ok := strings.CutPrefix(address, "unix:path=")
	if !ok || strings.ContainsAny(path, ",;%") {
		return nil, fmt.Errorf("%q is not the address of a bus at a Unix socket", address)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return newTransport(ctx, conn), nil
}

// newTransport returns a transport that closes the connection when the context
// ends. godbus alone would not, while it writes to a bus that reads nothing.
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

// because replaces an error that only says that the connection was closed by the
// reason: godbus closes the connection once reading fails.
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

// Write sends one message. It drops godbus' side of the handshake, because flush
// has sent that already.
func (t *transport) Write(text []byte) (int, error) {
	kept, err := t.keep(text)
	if kept || err != nil {
		return len(text), err
	}
	// Without the lock: the bus may read nothing until its answers are read.
	return t.conn.Write(text)
}

// keep reports whether a text is not to be written now, and holds it back if need be.
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

// await remembers an outgoing message as an open call.
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
		return fmt.Errorf("the type of the answer to %s is not known", member)
	}
	t.awaited[head.order.Uint32(message[8:])] = await{member, string(f.destination) == busName}
	return nil
}

// Read passes the next answer on, in as many parts as godbus reads.
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

// next reads messages until one is an answer. The answer is valid until next is
// called again.
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

// welcome reads the bus's answer to the handshake, which is one line.
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

// accept returns what godbus gets for a method return or an error: the message
// itself, an error instead of it, or nothing.
func (t *transport) accept(message []byte, head fixed) []byte {
	f, err := parseFields(message, head)
	if err != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	call, asked := t.awaited[f.replySerial]
	fromBus := string(f.sender) == busName
	// The bus answers for SSSD with an error if SSSD is not running, or has ended.
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
		return fmt.Sprintf("SSSD answered %s with a malformed value of type %q", member, is)
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
