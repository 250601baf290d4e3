// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// connect returns a connection of our own. dbus-daemon gives one user no more
// than 256 at a time (max_connections_per_user), and hangs up on the next: with
// hundreds of logins at once, the last ones wait for their turn.
func (c *Client) connect(ctx context.Context) (*dbus.Conn, error) {
	var crowded error
	for {
		conn, err := c.connectOnce(ctx)
		if err == nil {
			return conn, nil
		}
		if isCrowded(err) {
			c.debugf("D-Bus has no room for another connection, trying again: %v", err)
			crowded = err
			select {
			case <-ctx.Done():
			case <-time.After(20*time.Millisecond + rand.N(80*time.Millisecond)):
				continue
			}
		}
		if crowded != nil && ctx.Err() != nil {
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

// connectOnce authenticates with our effective user ID: in a set-user-ID
// program the real one is the caller's.
func (c *Client) connectOnce(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.Dial(c.Address, dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		conn.Close()
		return nil, fmt.Errorf("authenticating: %w", err)
	}
	if err := conn.Hello(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("saying hello: %w", err)
	}
	return conn, nil
}

// isCrowded tells a bus that hangs up, or whose queue is full, see unix(7),
// from one that is not there.
func isCrowded(err error) bool {
	for _, sign := range []error{io.EOF, syscall.EAGAIN, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return hasName(err, "org.freedesktop.DBus.Error.LimitsExceeded")
}
