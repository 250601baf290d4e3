// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"fmt"
	"os/exec"
	"testing"

	"pam_cockpit_cert/internal/testutil/namespace"
)

// Network is a network that only the test's machines share: a bridge in a network
// namespace, and a namespace for each machine.
type Network struct{ count int }

// Place is a machine's place in the network.
type Place struct {
	Address string
	name    string
}

// bridge is the namespace with the bridge.
const bridge = "bridge"

// NewNetwork makes a network, until the test ends. There is one at a time.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	namespace.Need(t)
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of the package iproute2")
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", bridge).Run() })
	ip(t, "netns", "add", bridge)
	ip(t, "-n", bridge, "link", "add", "br0", "type", "bridge")
	ip(t, "-n", bridge, "link", "set", "br0", "up")
	return &Network{}
}

// Join makes a place for a machine.
func (n *Network) Join(t testing.TB, name string) Place {
	t.Helper()
	n.count++
	p := Place{Address: fmt.Sprintf("10.77.0.%d", n.count), name: name}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", name).Run() })
	ip(t, "netns", "add", name)
	ip(t, "-n", bridge, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
	ip(t, "-n", bridge, "link", "set", name, "master", "br0", "up")
	ip(t, "-n", name, "address", "add", p.Address+"/24", "dev", "eth0")
	ip(t, "-n", name, "link", "set", "eth0", "up")
	ip(t, "-n", name, "link", "set", "lo", "up")
	return p
}

// Disconnect takes the machine's link down: packets to it are lost.
func (p Place) Disconnect(t testing.TB) {
	t.Helper()
	ip(t, "-n", bridge, "link", "set", p.name, "down")
}

// Reconnect takes the link up again.
func (p Place) Reconnect(t testing.TB) { t.Helper(); ip(t, "-n", bridge, "link", "set", p.name, "up") }

func ip(t testing.TB, arguments ...string) {
	t.Helper()
	if out, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", arguments, err, out)
	}
}
