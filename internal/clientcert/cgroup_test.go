// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

const (
	alice = "69cb0c1e0d9a1bbbb3b61a7f3b9a5e1a55bd7ee7fe9c5d9e6a1c2d3e4f506172"
	bob   = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
)

// unit returns the control group of an instance of cockpit-ws.
func unit(instance string) string { return unitPath + instance + UnitSuffix }

func TestInstanceOfAControlGroup(t *testing.T) {
	const (
		unifiedInit = "0::/init.scope\n"
		hybridInit  = "1:name=systemd:/init.scope\n0::/init.scope\n"
	)
	for name, test := range map[string]struct {
		pid1, text, want string
		rejected         bool
	}{
		"a unified host":                    {unifiedInit, "0::" + unit(alice) + "\n", alice, false},
		"a hybrid host":                     {hybridInit, "12:pids:/system.slice\n1:name=systemd:" + unit(alice) + "\n0::" + unit(alice) + "\n", alice, false},
		"a hybrid host, unified line first": {hybridInit, "0::" + unit(alice) + "\n1:name=systemd:" + unit(alice) + "\n", alice, false},
		"a version 1 host":                  {"1:name=systemd:/init.scope\n", "4:cpu,cpuacct:/\n1:name=systemd:" + unit(alice) + "\n", alice, false},
		"a version 1 host lists the unified hierarchy too": {
			"1:name=systemd:/init.scope\n0::/init.scope\n", "1:name=systemd:" + unit(alice) + "\n0::/\n", alice, false},
		"systemd's version 1 hierarchy need not be the first": {
			"9:name=systemd:/init.scope\n", "9:name=systemd:" + unit(alice) + "\n", alice, false},
		"an old systemd stays in the root":      {"1:name=systemd:/\n", "1:name=systemd:" + unit(alice) + "\n", alice, false},
		"only the unified hierarchy has it":     {hybridInit, "1:name=systemd:/\n0::" + unit(alice) + "\n", alice, false},
		"a container, seen from outside":        {"0::/machine.slice/web.scope/init.scope\n", "0::/machine.slice/web.scope" + unit(alice) + "\n", alice, false},
		"a container without systemd's scope":   {"0::/docker/1234\n", "0::/docker/1234" + unit(alice) + "\n", alice, false},
		"a root above our own namespace's root": {"0::/../../init.scope\n", "0::/../.." + unit(alice) + "\n", alice, false},
		"the roots of two hierarchies differ": {
			"1:name=systemd:/lxc/a/init.scope\n0::/init.scope\n", "1:name=systemd:/lxc/a" + unit(alice) + "\n0::" + unit(alice) + "\n", alice, false},
		"a browser without a certificate": {unifiedInit, "0::" + unit(withoutCertificate) + "\n", withoutCertificate, false},

		"two instances":                          {hybridInit, "1:name=systemd:" + unit(alice) + "\n0::" + unit(bob) + "\n", "", true},
		"an instance and none with certificate":  {hybridInit, "1:name=systemd:" + unit(withoutCertificate) + "\n0::" + unit(bob) + "\n", "", true},
		"two, but a user made one of them":       {hybridInit, "1:name=systemd:/user.slice" + unit(alice) + "\n0::" + unit(bob) + "\n", bob, false},
		"below a group delegated to a user":      {unifiedInit, "0::/user.slice/user-1000.slice/user@1000.service" + unit(alice) + "\n", "", false},
		"the host's instance, in a container":    {"0::/machine.slice/web.scope/init.scope\n", "0::" + unit(alice) + "\n", "", false},
		"another container's":                    {"0::/machine.slice/web.scope/init.scope\n", "0::/machine.slice/web2.scope" + unit(alice) + "\n", "", false},
		"a root that only looks like init.scope": {"0::/myinit.scope\n", "0::/my" + unit(alice) + "\n", "", false},
		"the other hierarchy's root": {
			"1:name=systemd:/lxc/a/init.scope\n0::/init.scope\n", "0::/lxc/a" + unit(alice) + "\n", "", false},
		"PID 1 is not in that hierarchy": {"1:name=systemd:/init.scope\n", "0::" + unit(alice) + "\n", "", false},
		"PID 1 is in no hierarchy":       {"", "0::" + unit(alice) + "\n", "", false},

		"something before the slice":  {unifiedInit, "0::/x" + unit(alice) + "\n", "", false},
		"a group below the instance":  {unifiedInit, "0::" + unit(alice) + "/child\n", "", false},
		"a group that was removed":    {unifiedInit, "0::" + unit(alice) + " (deleted)\n", "", false},
		"upper-case digits":           {unifiedInit, "0::" + unit(strings.ToUpper(alice)) + "\n", "", false},
		"63 digits":                   {unifiedInit, "0::" + unit(alice[1:]) + "\n", "", false},
		"65 digits":                   {unifiedInit, "0::" + unit(alice+"0") + "\n", "", false},
		"no digits":                   {unifiedInit, "0::" + unit("") + "\n", "", false},
		"64 that are no digits":       {unifiedInit, "0::" + unit(strings.Repeat("g", 64)) + "\n", "", false},
		"a slash among the digits":    {unifiedInit, "0::" + unit(alice[:63]+"/") + "\n", "", false},
		"the instance for plain HTTP": {unifiedInit, "0::/system.slice/cockpit-wsinstance-http.service\n", "", false},
		"the slice's own socket unit": {unifiedInit, "0::" + unitPath + alice + ".socket\n", "", false},
		"another slice":               {unifiedInit, "0::/system.slice/cockpit-wsinstance-https@" + alice + ".service\n", "", false},
		"an instance of a resource hierarchy": {
			"7:pids:/init.scope\n0::/init.scope\n", "7:pids:" + unit(alice) + "\n0::/\n", "", false},
		"a hierarchy with another's name":      {"3:name=systemd2:/\n", "3:name=systemd2:" + unit(alice) + "\n", "", false},
		"name=systemd with number 0":           {"0:name=systemd:/\n", "0:name=systemd:" + unit(alice) + "\n", "", false},
		"no controllers, but not number 0":     {"5::/\n", "5::" + unit(alice) + "\n", "", false},
		"a path with colons":                   {unifiedInit, "0::/a:b:" + unit(alice) + "\n", "", false},
		"a session's scope":                    {unifiedInit, "0::/user.slice/user-1000.slice/session-3.scope\n", "", false},
		"the root, where there is no systemd":  {"0::/\n", "0::/\n", "", false},
		"a kernel without control groups":      {"", "", "", false},
		"an imitation as long as paths can be": {unifiedInit, "0::/" + strings.Repeat("a", 3800) + unit(alice) + "\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			pid1, err := parseCgroups(test.pid1)
			if err != nil {
				t.Fatal(err)
			}
			groups, err := parseCgroups(test.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := groups.instance(pid1)
			var rejected *RejectedError
			if got != test.want || errors.As(err, &rejected) != test.rejected || (err != nil) != test.rejected {
				t.Errorf("got %q, %v, want %q, rejected %v", got, err, test.want, test.rejected)
			}
			if got != "" && !groups.mayBeInstance() {
				t.Error("it would not be compared with PID 1's")
			}
		})
	}
}

func TestControlGroupsThatNoKernelWrites(t *testing.T) {
	for name, text := range map[string]string{
		"the unified hierarchy twice": "0::" + unit(alice) + "\n0::/\n",
		"name=systemd twice":          "1:name=systemd:/\n2:name=systemd:" + unit(alice) + "\n",
		"cut off":                     "0::" + unit(alice),
		"no path":                     "0::\n",
		"a path from nowhere":         "0::system.slice\n",
		"one colon":                   "0:/\n",
		"an empty line":               "\n0::/\n",
		"no number":                   ":name=systemd:" + unit(alice) + "\n",
		"a word for a number":         "one:name=systemd:" + unit(alice) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			if groups, err := parseCgroups(text); err == nil {
				t.Errorf("read as %+v", groups)
			}
		})
	}
}

// FuzzCgroups checks the answer against Cockpit's own definition, a regular
// expression: an instance is found if and only if a whole line matches it.
func FuzzCgroups(f *testing.F) {
	for _, text := range []string{
		"", "0::/\n", "0::" + unit(alice) + "\n", "1:name=systemd:" + unit(alice) + "\n0::" + unit(alice) + "\n",
		"12:cpu,cpuacct:/\n1:name=systemd:" + unit(alice) + "\n0::/\n", "0::/user.slice" + unit(alice) + "\n",
		"1:name=systemd:" + unit(alice) + "\n0::" + unit(bob) + "\n", "0::" + unit(alice[1:]) + "\n", "0::" + unit(alice) + "x\n",
	} {
		f.Add(text)
	}
	line := regexp.MustCompile(`(?m)^(0+:|0*[1-9][0-9]*:name=systemd):` +
		`/system\.slice/system-cockpithttps\.slice/cockpit-wsinstance-https@([0-9a-f]{64})\.service$`)
	f.Fuzz(func(t *testing.T, text string) {
		groups, err := parseCgroups(text)
		if err != nil {
			return
		}
		got, err := groups.instance(cgroups{unified: "/init.scope", named: "/init.scope"})
		named := map[string]bool{}
		for _, match := range line.FindAllStringSubmatch(text, -1) {
			named[match[2]] = true
		}
		switch {
		case len(named) > 1:
			if err == nil {
				t.Errorf("%q: two instances, got %q", text, got)
			}
		case err != nil:
			t.Errorf("%q: %v", text, err)
		case len(named) == 1 && !named[got] || len(named) == 0 && got != "":
			t.Errorf("%q: got %q, want one of %v", text, got, named)
		}
	})
}
