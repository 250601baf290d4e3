// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"
)

// maxName is the longest name in bytes: glibc's LOGIN_NAME_MAX.
const maxName = 256

// value reads a reply of one value, which must have exactly this type. godbus'
// Store would convert, for example a number to a string.
func value[T any](call *dbus.Call) (T, error) {
	var none T
	if call.Err != nil {
		return none, call.Err
	}
	if n := len(call.Body); n != 1 {
		return none, invalid("SSSD answered %s with %d values", method(call), n)
	}
	value, ok := call.Body[0].(T)
	if !ok {
		return none, invalid("SSSD answered %s with a value of the type %T", method(call), call.Body[0])
	}
	return value, nil
}

func method(call *dbus.Call) string {
	return call.Method[strings.LastIndexByte(call.Method, '.')+1:]
}

// userPath checks that the object path is that of a user.
func userPath(path dbus.ObjectPath) error {
	rest, ok := strings.CutPrefix(string(path), usersPath+"/")
	if !ok || rest == "" {
		return invalid("SSSD answered with the object %q, which is not a user", path)
	}
	return nil
}

// onlyUser checks that no other user has the certificate. FindByValidCertificate
// rejects two users of one domain, but picks one of two users in two domains.
func onlyUser(listed *dbus.Call, path dbus.ObjectPath) error {
	only, err := onlyPath(listed)
	if err != nil {
		return err
	}
	if only != path {
		return &Error{
			Outcome: NotMapped,
			Problem: fmt.Sprintf("SSSD maps the certificate to %s at one time and to %s at another", path, only),
			Hint:    "was the user changed just now? Try again",
		}
	}
	return nil
}

// errEmptyList is the cause of an Error if SSSD's list is empty. As with a
// NotFound, that only counts if all domains are online.
var errEmptyList = errors.New("ListByCertificate names no user")

// noUser returns the error for a FindByValidCertificate that found no user. If
// the list has a user, the two answers contradict each other, which happens
// while SSSD's back end restarts, and the login has to be tried again.
func noUser(listed *dbus.Call, notFound error) error {
	all, err := value[[]dbus.ObjectPath](listed)
	if err != nil || len(all) == 0 {
		return notFound
	}
	return (&Error{
		Outcome: Unavailable,
		Problem: fmt.Sprintf("SSSD finds no user by this certificate, and %s at the same time", all[0]),
		Hint:    "was the user changed, or SSSD's back end started, just now? Try again",
	}).is(notFound)
}

// onlyPath returns the only user of a list.
func onlyPath(listed *dbus.Call) (dbus.ObjectPath, error) {
	all, err := value[[]dbus.ObjectPath](listed)
	if err != nil {
		return "", err
	}
	switch len(all) {
	case 0:
		return "", &Error{Outcome: NotMapped, Problem: unmapped, Hint: unmappedHint, Err: errEmptyList}
	case 1:
		return all[0], nil
	default:
		return "", &Error{
			Outcome: NotMapped,
			Problem: fmt.Sprintf("SSSD knows several users by this certificate, among them %s and %s", all[0], all[1]),
			Hint:    "let one of them have it, in one domain",
		}
	}
}

func readUser(name, uid *dbus.Call) (User, error) {
	nameValue, err := value[dbus.Variant](name)
	if err != nil {
		return User{}, err
	}
	uidValue, err := value[dbus.Variant](uid)
	if err != nil {
		return User{}, err
	}
	var user User
	var ok bool
	if user.Name, ok = nameValue.Value().(string); !ok {
		return User{}, invalid("SSSD's user name is of type %s", nameValue.Signature())
	}
	if user.UID, ok = uidValue.Value().(uint32); !ok {
		return User{}, invalid("SSSD's user ID is of type %s", uidValue.Signature())
	}
	return user, checkName(user.Name)
}

// checkName rejects a malformed user name. It accepts what directories really
// have: blanks, @, backslashes, UTF-8.
func checkName(name string) error {
	switch {
	case name == "":
		return invalid("SSSD's user name is empty")
	case len(name) > maxName:
		return invalid("SSSD's user name has %d bytes, more than %d", len(name), maxName)
	case !utf8.ValidString(name):
		return invalid("SSSD's user name %q is not UTF-8", name)
	}
	for _, c := range name {
		if c < 0x20 || c >= 0x7f && c < 0xa0 {
			return invalid("SSSD's user name %q has a control character", name)
		}
	}
	return nil
}
