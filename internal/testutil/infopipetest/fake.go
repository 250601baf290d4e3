// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipetest

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// The object paths of the fake's user and domain.
const (
	UserPath   = dbus.ObjectPath("/org/freedesktop/sssd/infopipe/Users/lab_2etest/1000")
	DomainPath = dbus.ObjectPath("/org/freedesktop/sssd/infopipe/Domains/lab_2etest")
)

// Answer is one reply: these values, or an error, or else nothing at all.
type Answer struct {
	Values []any
	Error  string // its D-Bus name
	Text   string // of the error

	Forgotten int  // how many calls get no reply at first
	Silent    bool // no reply
	Leave     bool // no reply, and the fake leaves the bus

	// Taken, unless it is nil, is what another connection answers that takes the
	// InfoPipe's name before this reply.
	Taken Answers
}

// Value is an answer of one value.
func Value(value any) Answer { return Answer{Values: []any{value}} }

// Property is an answer with the value of a property.
func Property(value any) Answer { return Value(dbus.MakeVariant(value)) }

// Failure is an error with a D-Bus name, and a text.
func Failure(name, text string) Answer { return Answer{Error: name, Text: text} }

// Answers has the replies by a method's name, or, for a property, by "Get "
// and its name.
type Answers map[string]Answer

// healthy are the answers of an SSSD that maps every certificate to alice.
var healthy = Answers{
	"Ping":                   Value("PONG"),
	"FindByValidCertificate": Value(UserPath),
	"FindByCertificate":      Value(UserPath),
	"ListByCertificate":      Value([]dbus.ObjectPath{UserPath}),
	"Get name":               Property("alice"),
	"Get uidNumber":          Property(uint32(1000)),
	"ListDomains":            Value([]dbus.ObjectPath{DomainPath}),
	"IsOnline":               Value(true),
}

// Fake is an InfoPipe on a bus.
type Fake struct {
	address string
	socket  net.Conn // below conn
	conn    *dbus.Conn
	answers Answers
	asked   map[string]int // how often, as in Answers

	mu    sync.Mutex
	calls []string
	next  *Fake // which has taken the name
}

// Serve owns the InfoPipe's name until the test ends, and answers like an SSSD that
// maps every certificate to alice, with uid 1000, except for these answers.
func Serve(t testing.TB, address string, answers Answers) *Fake {
	t.Helper()
	fake, err := serve(address, answers, dbus.NameFlagAllowReplacement)
	if err != nil {
		t.Fatalf("a fake InfoPipe: %v", err)
	}
	t.Cleanup(fake.leave)
	return fake
}

// ServeUntilBusEnds is Serve for a program of its own that the bus starts.
func ServeUntilBusEnds(address string) error {
	fake, err := serve(address, nil, 0)
	if err == nil {
		<-fake.conn.Context().Done()
	}
	return err
}

func serve(address string, answers Answers, flags dbus.RequestNameFlags) (*Fake, error) {
	socket, err := net.Dial("unix", strings.TrimPrefix(address, "unix:path="))
	if err != nil {
		return nil, err
	}
	fake := &Fake{address: address, socket: socket, answers: answers, asked: map[string]int{}}
	if err := fake.start(flags); err != nil {
		socket.Close()
		return nil, err
	}
	return fake, nil
}

// start joins the bus at the other end of the socket, and answers.
func (f *Fake) start(flags dbus.RequestNameFlags) (err error) {
	if f.conn, err = dbus.NewConn(f.socket); err != nil {
		return err
	}
	if err := f.conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		return err
	}
	if err := f.conn.Hello(); err != nil {
		return err
	}
	// Not Export, which rejects answers of wrong types. From here on the fake
	// handles every message, also the answer whether it owns the name.
	messages := make(chan *dbus.Message, 100)
	f.conn.Eavesdrop(messages)
	f.conn.BusObject().Go("org.freedesktop.DBus.RequestName", 0, nil, Service, flags|dbus.NameFlagDoNotQueue)
	for message := range messages {
		if message.Type == dbus.TypeSignal {
			continue
		}
		if message.Type == dbus.TypeMethodReply && message.Body[0] == uint32(dbus.RequestNameReplyPrimaryOwner) {
			break
		}
		return fmt.Errorf("somebody else owns %s", Service)
	}
	go func() {
		for message := range messages {
			if message.Type == dbus.TypeMethodCall {
				f.reply(message)
			}
		}
	}()
	return nil
}

// leave closes the socket, and not the connection: if that is closed while a
// message arrives, godbus may send to a channel that it has closed.
func (f *Fake) leave() {
	f.socket.Close()
	if next := f.Next(); next != nil {
		next.leave()
	}
}

// Next returns the fake that has taken the name from this one; nil if none has.
func (f *Fake) Next() *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

// giveWay lets another connection take the name.
func (f *Fake) giveWay(answers Answers) {
	next, err := serve(f.address, answers, dbus.NameFlagReplaceExisting)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = next
}

// Calls returns the calls so far, each as the method's name and its arguments.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

func (f *Fake) reply(call *dbus.Message) {
	method, _ := call.Headers[dbus.FieldMember].Value().(string)
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprint(append([]any{method}, call.Body...)...))
	f.mu.Unlock()
	if method == "Get" && len(call.Body) == 2 {
		method = fmt.Sprint("Get ", call.Body[1])
	}
	answer, ok := f.answers[method]
	if !ok {
		answer, ok = healthy[method]
	}
	f.asked[method]++
	if answer.Taken != nil && f.Next() == nil {
		f.giveWay(answer.Taken)
	}
	switch {
	case !ok:
		f.send(call, dbus.TypeError, "org.freedesktop.DBus.Error.UnknownMethod", []any{method})
	case answer.Leave:
		f.socket.Close()
	case answer.Silent, f.asked[method] <= answer.Forgotten:
	case answer.Error != "":
		f.send(call, dbus.TypeError, answer.Error, []any{answer.Text})
	default:
		f.send(call, dbus.TypeMethodReply, "", answer.Values)
	}
}

func (f *Fake) send(call *dbus.Message, kind dbus.Type, name string, body []any) {
	reply := &dbus.Message{
		Type: kind,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: call.Headers[dbus.FieldSender],
			dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
		},
		Body: body,
	}
	if name != "" {
		reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant(name)
	}
	if len(body) > 0 {
		reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	f.conn.Send(reply, nil)
}
