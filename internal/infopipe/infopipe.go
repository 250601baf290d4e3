// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package infopipe asks SSSD's InfoPipe, see sssd-ifp(5), which user has a
// certificate. SSSD validates the certificate, and its domains map it to a user.
//
// SSSD answers over D-Bus. A process of root logs in the user of the answer, so
// that every answer is checked, and an answer that is not understood is an error.
package infopipe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// SystemBus is the address of dbus-daemon(1) and dbus-broker(1) on every system.
// It does not come from the environment, which an attacker may control.
const SystemBus = "unix:path=/run/dbus/system_bus_socket"

// SSSD's names, from org.freedesktop.sssd.infopipe's introspection data.
const (
	service = "org.freedesktop.sssd.infopipe"

	rootPath        = "/org/freedesktop/sssd/infopipe"
	usersPath       = rootPath + "/Users"
	domainsPath     = rootPath + "/Domains"
	usersInterface  = service + ".Users"
	userInterface   = service + ".Users.User"
	domainInterface = service + ".Domains.Domain"
)

// defaultActivation is how long SSSD may take to start. For an SSSD without
// configuration, which never starts, dbus-daemon would wait 25 s; a working one
// was measured to start within 320 ms.
const defaultActivation = 5 * time.Second

// Client asks the InfoPipe. Only Address has to be set.
type Client struct {
	Address string // of the bus, usually SystemBus

	// AllowUnvalidated maps a certificate without validation if SSSD is too
	// old to validate (before 2.6.1), and only then. Such an SSSD accepts a
	// certificate of any issuer; see CVE-2021-3698.
	AllowUnvalidated bool

	// ActivationTimeout bounds the start of an SSSD that is not running;
	// 5 seconds if it is zero.
	ActivationTimeout time.Duration

	Log func(format string, args ...any) // for debugging; may be nil
}

// User is the user to whom SSSD maps a certificate.
type User struct {
	Name string // as getpwnam(3) knows it, in SSSD's configured form
	UID  uint32 // the caller has to compare it with getpwnam's
}

// FindByCertificate returns the only user who has the certificate, given in PEM.
// The context's deadline covers connecting and every call. Errors are of type
// *Error.
func (c *Client) FindByCertificate(ctx context.Context, pem string) (User, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return User{}, busProblem(ctx, err)
	}
	defer conn.Close()

	user, err := c.find(ctx, conn, pem)
	switch {
	case err == nil:
		return user, nil
	case isNotFound(err), errors.Is(err, errEmptyList):
		if problem := offline(ctx, conn); problem != nil {
			return User{}, problem
		}
	}
	return User{}, classify(ctx, conn.transport.because(err))
}

// find asks for the user. If SSSD is not running, it starts SSSD first.
func (c *Client) find(ctx context.Context, conn *connection, pem string) (User, error) {
	if conn.sssd != "" {
		user, err := c.findRunning(ctx, conn, pem)
		if !hasName(err, errNoOwner) && !hasName(err, errServiceUnknown) {
			return user, err
		}
	}
	c.debugf("SSSD's InfoPipe is not running: starting it")
	if err := c.activate(ctx, conn.Conn); err != nil {
		return User{}, err
	}
	if err := conn.setOwner(conn.askOwner(ctx)); err != nil {
		return User{}, err
	}
	conn.ping = ping(ctx, conn.Object(conn.sssd, rootPath))
	return c.findRunning(ctx, conn, pem)
}

func (c *Client) activate(ctx context.Context, conn *dbus.Conn) error {
	timeout := c.ActivationTimeout
	if timeout == 0 {
		timeout = defaultActivation
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := conn.BusObject().CallWithContext(bounded, "org.freedesktop.DBus.StartServiceByName", 0, service, uint32(0)).Err
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return &Error{
			Outcome: Unavailable,
			Problem: fmt.Sprintf("SSSD did not start within %v", timeout),
			Hint:    "is /etc/sssd/sssd.conf there and valid? See journalctl -u sssd -u sssd-ifp, and sssctl config-check",
			kind:    ErrNotStarted,
		}
	}
	return err
}

// findRunning asks an SSSD that is running: whether it answers, which user has
// the certificate, and that user's name and uid. Each of the three steps makes
// its calls at once, because the user waits for each round trip.
func (c *Client) findRunning(ctx context.Context, conn *connection, pem string) (User, error) {
	if err := conn.sssdAnswers(); err != nil {
		return User{}, err
	}
	users := conn.Object(conn.sssd, usersPath)
	found := users.GoWithContext(ctx, usersInterface+".FindByValidCertificate", dbus.FlagNoAutoStart, nil, pem)
	// The list shows whether another user has the certificate, too. It takes no
	// extra time: SSSD answers it while a child process validates.
	listed := users.GoWithContext(ctx, usersInterface+".ListByCertificate", dbus.FlagNoAutoStart, nil, pem, uint32(2))
	path, err := value[dbus.ObjectPath](<-found.Done)
	unvalidated := hasName(err, errUnknownMethod) && c.AllowUnvalidated
	if unvalidated {
		c.debugf("this SSSD cannot validate certificates, and allow_unvalidated is set: mapping without validation")
		path, err = onlyPath(<-listed.Done)
	}
	if err == nil {
		err = userPath(path)
	}
	switch {
	case err == nil && !unvalidated:
		err = onlyUser(<-listed.Done, path)
	case isNotFound(err) && !unvalidated:
		err = noUser(<-listed.Done, err)
	}
	if err != nil {
		return User{}, err
	}
	c.debugf("SSSD maps the certificate to %s", path)

	object := conn.Object(conn.sssd, path)
	name, uid := property(ctx, object, "name"), property(ctx, object, "uidNumber")
	user, err := readUser(name.answer(), uid.answer())
	switch {
	case isNotFound(err):
		return User{}, (&Error{
			Outcome: Unavailable,
			Problem: fmt.Sprintf("SSSD named the object %s, and does not find it", path),
			Hint:    "was the user changed, or SSSD's back end started, just now? Try again",
		}).is(err)
	case hasName(err, errInvalidArgs):
		return User{}, invalid("SSSD does not know the object %s, which it named", path).is(err)
	}
	return user, ofOtherCall(err)
}

func property(ctx context.Context, object dbus.BusObject, name string) *reading {
	return read(ctx, object, "org.freedesktop.DBus.Properties.Get", userInterface, name)
}

func (c *Client) debugf(format string, args ...any) {
	if c.Log != nil {
		c.Log(format, args...)
	}
}
