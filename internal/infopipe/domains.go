// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Domains returns the names of the domains that a running SSSD serves. It starts
// none.
func (c *Client) Domains(ctx context.Context) ([]string, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, busProblem(ctx, err)
	}
	defer conn.Close()
	if err := conn.sssdAnswers(); err != nil {
		return nil, classify(ctx, conn.transport.because(err))
	}
	paths, err := listDomains(ctx, conn)
	if err != nil {
		return nil, classify(ctx, conn.transport.because(err))
	}
	var names []string
	for _, path := range paths {
		if name, ok := domainName(path); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func listDomains(ctx context.Context, conn *connection) ([]dbus.ObjectPath, error) {
	paths, err := value[[]dbus.ObjectPath](read(ctx, conn.Object(conn.sssd, rootPath), service+".ListDomains").answer())
	return paths, ofOtherCall(err)
}

// domainName is the name of the domain that has this object. A byte of it that is
// neither a letter nor a digit is "_" and two hexadecimal digits there, as
// sbus_opath_escape_part in SSSD's src/sbus/sbus_opath.c writes it.
func domainName(path dbus.ObjectPath) (string, bool) {
	escaped, ok := strings.CutPrefix(string(path), domainsPath+"/")
	first, rest, _ := strings.Cut(escaped, "_")
	name := []byte(first)
	for part := range strings.SplitSeq(rest, "_") {
		code, err := hex.DecodeString(part[:min(len(part), 2)])
		if err != nil {
			return "", false
		}
		name = append(append(name, code...), part[len(code)*2:]...)
	}
	return string(name), ok
}
