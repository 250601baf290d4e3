// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package infopipe_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"pam_cockpit_cert/internal/infopipe"
	fake "pam_cockpit_cert/internal/testutil/infopipetest"
)

const pem = "the certificate"

// busy is how much later a busy machine may answer than the deadline says.
const busy = 5 * time.Second

// ask asks a bus, and fails a test that takes longer than it should.
func ask(t *testing.T, client *infopipe.Client, timeout time.Duration) (infopipe.User, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	start := time.Now()
	user, err := client.FindByCertificate(ctx, pem)
	if took := time.Since(start); took > timeout+busy {
		t.Errorf("took %v, with a deadline of %v", took, timeout)
	}
	return user, err
}

// check wants an error with this outcome and text, and with a hint.
func check(t *testing.T, user infopipe.User, err error, outcome infopipe.Outcome, text string) {
	t.Helper()
	var failed *infopipe.Error
	if !errors.As(err, &failed) {
		t.Fatalf("user %+v, error %v; want an Error", user, err)
	}
	if failed.Outcome != outcome {
		t.Errorf("outcome %d, want %d: %v", failed.Outcome, outcome, err)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q, want %q in it", err, text)
	}
	if failed.Hint == "" {
		t.Errorf("no hint what to do about %q", err)
	}
	if user != (infopipe.User{}) {
		t.Errorf("user %+v beside an error", user)
	}
	start := strings.Contains(text, "did not start") || strings.Contains(text, "could not be started")
	if errors.Is(err, infopipe.ErrNotStarted) != start {
		t.Errorf("that SSSD did not start is %v for %q", !start, err)
	}
}

func TestAnUnambiguousUser(t *testing.T) {
	address := fake.StartBus(t, "")
	for _, name := range []string{
		"alice", "alice@lab.test", `LAB\alice`, "eve smith", "josé", "-dash", "1000",
		strings.Repeat("n", 256),
	} {
		t.Run(name, func(t *testing.T) {
			sssd := fake.Serve(t, address, fake.Answers{"Get name": fake.Property(name)})
			user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
			if want := (infopipe.User{Name: name, UID: 1000}); err != nil || user != want {
				t.Errorf("%+v, %v; want %+v", user, err, want)
			}
			calls := sssd.Calls()
			slices.Sort(calls)
			calls = slices.Compact(calls) // on a busy machine, one may be asked again
			want := []string{
				"FindByValidCertificate" + pem,
				"Get" + fake.Service + ".Users.Username",
				"Get" + fake.Service + ".Users.UseruidNumber",
				"ListByCertificate" + pem + "2",
				"PingPING",
			}
			if !slices.Equal(calls, want) {
				t.Errorf("asked %q, want %q", calls, want)
			}
		})
	}
}

// TestAnswersThatSSSDNeverGives checks answers of a broken SSSD, or of an impostor.
func TestAnswersThatSSSDNeverGives(t *testing.T) {
	address := fake.StartBus(t, "")
	path := func(path dbus.ObjectPath) fake.Answers {
		// The list has the same path, so that only the path itself is wrong.
		return fake.Answers{"FindByValidCertificate": fake.Value(path), "ListByCertificate": fake.Value([]dbus.ObjectPath{path})}
	}
	name := func(name any) fake.Answers { return fake.Answers{"Get name": fake.Property(name)} }

	for title, test := range map[string]struct {
		answers fake.Answers
		text    string
	}{
		"a group's path":                      {path("/org/freedesktop/sssd/infopipe/Groups/lab/1"), "which is not a user"},
		"the path of all users":               {path("/org/freedesktop/sssd/infopipe/Users"), "which is not a user"},
		"a path that only begins the same":    {path("/org/freedesktop/sssd/infopipe/UsersX/lab/1"), "which is not a user"},
		"the root":                            {path("/"), "which is not a user"},
		"a path that is a string":             {fake.Answers{"FindByValidCertificate": fake.Value(string(fake.UserPath))}, "with a value of type"},
		"a path that is a number":             {fake.Answers{"FindByValidCertificate": fake.Value(uint32(7))}, "with a value of type"},
		"no path":                             {fake.Answers{"FindByValidCertificate": {}}, "FindByValidCertificate"},
		"two paths":                           {fake.Answers{"FindByValidCertificate": {Values: []any{fake.UserPath, fake.UserPath}}}, "FindByValidCertificate"},
		"a list that is a path":               {fake.Answers{"ListByCertificate": fake.Value(fake.UserPath)}, "with a value of type"},
		"a list of strings":                   {fake.Answers{"ListByCertificate": fake.Value([]string{string(fake.UserPath)})}, "with a value of type"},
		"no list":                             {fake.Answers{"ListByCertificate": {}}, "ListByCertificate"},
		"a list that is refused":              {fake.Answers{"ListByCertificate": fake.Failure("com.example.Odd", "odd")}, "com.example.Odd: odd"},
		"an empty name":                       {name(""), "is empty"},
		"an overlong name":                    {name(strings.Repeat("n", 257)), "257 bytes"},
		"a name of many bytes, not letters":   {name(strings.Repeat("é", 129)), "258 bytes"},
		"a name with a line break":            {name("alice\nroot"), "control character"},
		"a name with an escape":               {name("\x1b[31malice"), "control character"},
		"a name with a delete":                {name("alice\x7f"), "control character"},
		"a name with a C1 control":            {name("alice\u0085"), "control character"},
		"a name that is a number":             {name(uint32(7)), "is of type u"},
		"a name that is a list":               {name([]string{"alice"}), `of type "as"`},
		"a name that is a path":               {name(fake.UserPath), `of type "o"`},
		"a name in no variant":                {fake.Answers{"Get name": fake.Value("alice")}, "with a value of type"},
		"a name and more":                     {fake.Answers{"Get name": {Values: []any{dbus.MakeVariant("alice"), "more"}}}, "Get"},
		"no name":                             {fake.Answers{"Get name": {}}, "Get"},
		"a user ID that is a string":          {fake.Answers{"Get uidNumber": fake.Property("1000")}, "is of type s"},
		"a user ID that is signed":            {fake.Answers{"Get uidNumber": fake.Property(int32(1000))}, `of type "i"`},
		"a user ID of 64 bits":                {fake.Answers{"Get uidNumber": fake.Property(uint64(1000))}, `of type "t"`},
		"no user ID":                          {fake.Answers{"Get uidNumber": {}}, "Get"},
		"a user whose object is unknown":      {fake.Answers{"Get name": fake.Failure("org.freedesktop.DBus.Error.InvalidArgs", "Invalid argument")}, "does not know the object"},
		"a user without the property":         {fake.Answers{"Get uidNumber": fake.Failure("org.freedesktop.DBus.Error.UnknownProperty", "?")}, "not expected"},
		"an error that nobody has heard of":   {fake.Answers{"FindByValidCertificate": fake.Failure("com.example.Odd", "odd")}, "com.example.Odd: odd"},
		"SSSD's error with an unknown text":   {fake.Answers{"FindByValidCertificate": fake.Failure("sbus.Error.Errno", "10: No child processes")}, "No child processes"},
		"SSSD's error, the text in its midst": {fake.Answers{"FindByValidCertificate": fake.Failure("sbus.Error.Errno", "1: Invalid certificate provided, or not")}, "not expected"},
	} {
		t.Run(title, func(t *testing.T) {
			fake.Serve(t, address, test.answers)
			user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
			check(t, user, err, infopipe.Invalid, test.text)
		})
	}
}

// TestNobodyElse checks for a second user with the certificate in another domain,
// whom FindByValidCertificate does not notice.
func TestNobodyElse(t *testing.T) {
	address := fake.StartBus(t, "")
	const other = fake.UserPath + "7"
	for title, paths := range map[string][]dbus.ObjectPath{
		"nobody":               {},
		"somebody else":        {other},
		"another user as well": {fake.UserPath, other},
		"the same one twice":   {fake.UserPath, fake.UserPath},
	} {
		t.Run(title, func(t *testing.T) {
			fake.Serve(t, address, fake.Answers{"ListByCertificate": fake.Value(paths)})
			user, err := ask(t, &infopipe.Client{Address: address}, 5*time.Second)
			check(t, user, err, infopipe.NotMapped, "")
		})
	}
}
