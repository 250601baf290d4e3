// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// connect returns a new connection. dbus-daemon allows a user 256 connections
// (max_connections_per_user) and closes the next one. With hundreds of logins at
// once, the last ones try again until there is room.
func (c *Client) connect(ctx context.Context) (*connection, error) {
	var crowded error
	for {
		conn, err := c.connectOnce(ctx)
		if err == nil {
			return conn, nil
		}
		if isCrowded(err) && !timeIsUp(ctx, err) {
			c.debugf("D-Bus has no room for another connection, trying again: %v", err)
			crowded = err
			select {
			case <-ctx.Done():
			case <-time.After(20*time.Millisecond + rand.N(80*time.Millisecond)):
				continue
			}
		}
		if crowded != nil && timeIsUp(ctx, err) {
			return nil, &Error{
				Outcome: Unavailable,
				Problem: "D-Bus hangs up on every connection",
				Hint:    "do too many log in at once? See max_connections_per_user in dbus-daemon(1)",
				Err:     crowded,
			}
		}
		return nil, err
	}
}

// connection is a connection to the bus, and what the bus has told about SSSD.
type connection struct {
	*dbus.Conn
	transport *transport
	own       string // its unique name

	// sssd is the unique name that owns SSSD's name; empty if SSSD is not
	// running. Calls go to the unique name, so that they fail at once if SSSD
	// has restarted.
	sssd string
	ping *reading
}

// connectOnce sends at once all that needs no earlier answer: the handshake, the
// question who owns SSSD's name, and the first call to SSSD.
func (c *Client) connectOnce(ctx context.Context) (*connection, error) {
	transport, err := dial(ctx, c.Address)
	if err != nil {
		return nil, err
	}
	conn, err := dbus.NewConn(transport, dbus.WithContext(ctx))
	if err != nil {
		transport.Close()
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal("")}); err != nil { // with the transport alone
		conn.Close()
		return nil, fmt.Errorf("authenticating: %w", err)
	}
	b := &connection{Conn: conn, transport: transport}
	if err := b.greet(ctx); err != nil {
		conn.Close()
		return nil, transport.because(err)
	}
	return b, nil
}

func (b *connection) greet(ctx context.Context) error {
	hello := b.BusObject().GoWithContext(ctx, busName+".Hello", 0, nil)
	owner := b.askOwner(ctx)
	b.ping = ping(ctx, b.Object(service, rootPath))
	if err := b.transport.flush(); err != nil {
		return err
	}
	own, err := value[string](<-hello.Done)
	if err != nil {
		return err
	}
	b.own = own
	if err := b.setOwner(owner); err != nil {
		return err
	}
	b.repeatPing()
	return nil
}

func (b *connection) askOwner(ctx context.Context) *dbus.Call {
	return b.BusObject().GoWithContext(ctx, busName+".GetNameOwner", 0, nil, service)
}

func (b *connection) setOwner(asked *dbus.Call) error {
	owner, err := value[string](<-asked.Done)
	switch {
	case hasName(err, errNoOwner):
	case err != nil:
		return err
	case !strings.HasPrefix(owner, ":"), owner == b.own: // not a unique name, or not another's
		return invalid("the bus names %.100q as the owner of %s", owner, service)
	}
	b.sssd = owner
	return nil
}

// repeatPing makes the ping's repetitions go to SSSD's unique name. The first
// ping goes to the owner of SSSD's name when it arrives. If SSSD has restarted in
// between, that is another process, whose answer the transport drops.
func (b *connection) repeatPing() { b.ping.object = b.Object(b.sssd, rootPath) }

// sssdAnswers waits for the ping's answer. An SSSD that does not know the method
// answers, too.
func (b *connection) sssdAnswers() error {
	if err := b.ping.answer().Err; !hasName(err, errUnknownMethod) {
		return ofOtherCall(err)
	}
	return nil
}

// ping calls SSSD's Ping. Before SSSD answers a client for the first time, it
// asks the bus who the client is, once for all requests that come at that
// moment; SSSD 2.10 and later may lose such shared requests, see reading. So the
// first request is a cheap one, and alone.
func ping(ctx context.Context, sssd dbus.BusObject) *reading {
	return read(ctx, sssd, service+".Ping", "PING")
}

// isCrowded tells a bus that closes connections, or whose queue is full, see
// unix(7), from a bus that is not running.
func isCrowded(err error) bool {
	for _, sign := range []error{io.EOF, syscall.EAGAIN, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return hasName(err, "org.freedesktop.DBus.Error.LimitsExceeded")
}
