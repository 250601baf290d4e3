// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	fake "pam_cockpit_cert/internal/testutil/infopipetest"
)

// TestMain also runs as the service that the bus of TestActivation starts.
func TestMain(m *testing.M) {
	if len(os.Args) != 3 {
		os.Exit(m.Run())
	}
	var err error
	switch mode, address := os.Args[1], os.Args[2]; mode {
	case "serve":
		err = fake.ServeUntilBusEnds(address)
	case "hang": // an SSSD without configuration never takes its name either
		var conn *dbus.Conn
		if conn, err = dbus.Connect(address); err == nil {
			<-conn.Context().Done()
		}
	default:
		err = fmt.Errorf("no such mode: %s", mode)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestActivation checks that SSSD is started if it is not running, and that the
// wait for it is short.
func TestActivation(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("starts", func(t *testing.T) {
		address := fake.StartBus(t, self+" serve ADDRESS")
		user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
		if err != nil || user.Name != "alice" {
			t.Errorf("%+v, %v", user, err)
		}
	})
	t.Run("does not start in time", func(t *testing.T) {
		address := fake.StartBus(t, self+" hang ADDRESS")
		user, err := ask(t, &infopipe.Client{Address: address, ActivationTimeout: 200 * time.Millisecond}, 5*time.Second)
		check(t, user, err, infopipe.Unavailable, "SSSD did not start within 200ms")
	})
	t.Run("does not start before the deadline", func(t *testing.T) {
		address := fake.StartBus(t, self+" hang ADDRESS")
		user, err := ask(t, &infopipe.Client{Address: address}, 300*time.Millisecond)
		check(t, user, err, infopipe.Unavailable, "ausearch -m avc,user_avc,selinux_err")
	})
	t.Run("fails to start", func(t *testing.T) {
		address := fake.StartBus(t, "/bin/false")
		user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
		check(t, user, err, infopipe.Unavailable, "could not be started")
	})
	t.Run("cannot be executed", func(t *testing.T) {
		address := fake.StartBus(t, "/no/such/program")
		user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
		check(t, user, err, infopipe.Unavailable, "could not be started")
	})
	t.Run("is not installed", func(t *testing.T) {
		address := fake.StartBus(t, "")
		user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
		check(t, user, err, infopipe.Unavailable, "install the package sssd-dbus")
	})
}

// TestNoAnswer checks that the deadline holds, whichever call SSSD does not
// answer or ends at.
func TestNoAnswer(t *testing.T) {
	address := fake.StartBus(t, "")
	for _, method := range []string{"FindByValidCertificate", "ListByCertificate", "Get name", "Get uidNumber"} {
		t.Run(method+" without a reply", func(t *testing.T) {
			fake.Serve(t, address, fake.Answers{method: {Silent: true}})
			user, err := ask(t, &infopipe.Client{Address: address}, 200*time.Millisecond)
			check(t, user, err, infopipe.Unavailable, "SSSD did not answer in time")
		})
		t.Run(method+" ends SSSD", func(t *testing.T) {
			fake.Serve(t, address, fake.Answers{method: {Leave: true}})
			user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
			// Another call that was under way may have ended SSSD before this one.
			check(t, user, err, infopipe.Unavailable, "")
		})
	}
}

// TestAnotherOwner checks a connection that takes SSSD's name during a login: the
// answers of two connections are never put together.
func TestAnotherOwner(t *testing.T) {
	address := fake.StartBus(t, "")
	bobs := fake.Answers{"Get name": fake.Property("bob"), "Get uidNumber": fake.Property(uint32(2000))}
	alice, bob := infopipe.User{Name: "alice", UID: 1000}, infopipe.User{Name: "bob", UID: 2000}
	for method, answer := range map[string]fake.Answer{
		"Ping":                   fake.Value("PONG"),
		"FindByValidCertificate": fake.Value(fake.UserPath),
		"ListByCertificate":      fake.Value([]dbus.ObjectPath{fake.UserPath}),
		"Get name":               fake.Property("alice"),
		"Get uidNumber":          fake.Property(uint32(1000)),
	} {
		answer.Taken = bobs
		t.Run(method+", and the first one stays", func(t *testing.T) {
			first := fake.Serve(t, address, fake.Answers{method: answer})
			user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
			if err != nil || user != alice {
				t.Errorf("%+v, %v; want %+v", user, err, alice)
			}
			if calls := first.Next().Calls(); len(calls) > 0 {
				t.Errorf("the second one was asked %q", calls)
			}
		})
		answer.Leave = true
		t.Run(method+", and the first one ends", func(t *testing.T) {
			fake.Serve(t, address, fake.Answers{method: answer})
			user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
			if err == nil && user != bob { // asked from the beginning
				t.Errorf("%+v; want %+v", user, bob)
			} else if err != nil {
				check(t, user, err, infopipe.Unavailable, "")
			}
		})
	}
}

// TestForgottenAnswers checks that lost answers are asked for again: SSSD 2.10 to
// 2.13 loses some if many users log in at once.
func TestForgottenAnswers(t *testing.T) {
	address := fake.StartBus(t, "")
	name, uid := fake.Property("alice"), fake.Property(uint32(1000))
	name.Forgotten, uid.Forgotten = 1, 3
	t.Run("of a user", func(t *testing.T) {
		fake.Serve(t, address, fake.Answers{"Get name": name, "Get uidNumber": uid})
		user, err := ask(t, &infopipe.Client{Address: address}, 10*time.Second)
		if want := (infopipe.User{Name: "alice", UID: 1000}); err != nil || user != want {
			t.Errorf("%+v, %v; want %+v", user, err, want)
		}
	})
	domains, online := fake.Value([]dbus.ObjectPath{fake.DomainPath}), fake.Value(false)
	domains.Forgotten, online.Forgotten = 1, 1
	t.Run("of a domain", func(t *testing.T) {
		fake.Serve(t, address, fake.Answers{
			"FindByValidCertificate": fake.Failure("sbus.Error.NotFound", "No such file or directory"),
			"ListDomains":            domains, "IsOnline": online,
		})
		user, err := ask(t, &infopipe.Client{Address: address}, 10*time.Second)
		check(t, user, err, infopipe.Unavailable, "is offline")
	})
}

func TestBusesThatFail(t *testing.T) {
	listen := func(t *testing.T, handle func(net.Conn)) (address string) {
		t.Helper()
		dir, err := os.MkdirTemp("", "bus")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { conn.Close() })
				go handle(conn)
			}
		}()
		return "unix:path=" + listener.Addr().String()
	}
	for title, test := range map[string]struct {
		address string
		text    string
	}{
		"no socket":                           {"unix:path=/nonexistent/bus", "cannot connect to D-Bus"},
		"no address":                          {"", "cannot connect to D-Bus"},
		"a socket that accepts and is silent": {listen(t, func(net.Conn) {}), "D-Bus did not answer in time"},
		"a socket that hangs up":              {listen(t, func(c net.Conn) { c.Close() }), "D-Bus hangs up on every connection"},
		"a socket that speaks nonsense": {listen(t, func(c net.Conn) {
			for {
				if _, err := c.Write([]byte("nonsense\r\n")); err != nil {
					return
				}
			}
		}), "D-Bus sent rubbish"},
		"a bus that lets nobody in": {listen(t, func(c net.Conn) {
			for range 3 {
				_, _ = c.Read(make([]byte, 100))
				_, _ = c.Write([]byte("REJECTED EXTERNAL\r\n"))
			}
		}), "cannot connect to D-Bus"},
		"a bus that does not greet": {listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 100))
			_, _ = c.Write([]byte("OK 1234\r\n"))
		}), "D-Bus did not answer in time"},
	} {
		t.Run(title, func(t *testing.T) {
			user, err := ask(t, &infopipe.Client{Address: test.address}, 300*time.Millisecond)
			check(t, user, err, infopipe.Unavailable, test.text)
		})
	}
}

// TestTheEnvironmentIsNotAsked checks that the bus's address does not come from
// the environment, which an attacker may control.
func TestTheEnvironmentIsNotAsked(t *testing.T) {
	address := fake.StartBus(t, "")
	fake.Serve(t, address, nil)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	user, err := ask(t, &infopipe.Client{Address: "unix:path=/nonexistent/bus"}, time.Second)
	check(t, user, err, infopipe.Unavailable, "cannot connect to D-Bus")
}
