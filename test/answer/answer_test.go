// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package answer

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/login"
)

func TestValid(t *testing.T) {
	longest := string(bytes.Repeat([]byte("u"), 256))
	for name, test := range map[string]struct {
		record Record
		valid  bool
	}{
		"a line for the log":                {New(Log, 6, 0, 1000, "", "hello"), true},
		"asking":                            {New(Asking, 0, 0, 1000, "", "certificate"), true},
		"a success":                         {New(Verdict, 6, Success, 1000, "alice", "all is well"), true},
		"a success with nothing to say":     {New(Verdict, 6, Success, 1000, "alice", ""), true},
		"a name in UTF-8 with a blank":      {New(Verdict, 6, Success, 1000, "josé smith", ""), true},
		"the longest name":                  {New(Verdict, 6, Success, 1000, longest, ""), true},
		"a failure":                         {New(Verdict, 3, UserUnknown, 1000, "", "why"), true},
		"the last result":                   {New(Verdict, 3, ServiceError, 1000, "", "why"), true},
		"a name that is too long":           {New(Verdict, 6, Success, 1000, longest+"u", ""), false},
		"a success without a user":          {New(Verdict, 6, Success, 1000, "", ""), false},
		"a failure with a user":             {New(Verdict, 3, UserUnknown, 1000, "alice", ""), false},
		"no result":                         {New(Verdict, 3, 0, 1000, "", ""), false},
		"no kind":                           {New(0, 3, 0, 1000, "", "x"), false},
		"no such kind":                      {New(4, 3, 0, 1000, "", "x"), false},
		"no such priority":                  {New(Log, 8, 0, 1000, "", "x"), false},
		"a facility in the priority":        {New(Log, 10<<3|3, 0, 1000, "", "x"), false},
		"a log line with a result":          {New(Log, 3, UserUnknown, 1000, "", "x"), false},
		"a log line with a user":            {New(Log, 3, 0, 1000, "alice", "x"), false},
		"a log line without text":           {New(Log, 3, 0, 1000, "", ""), false},
		"asking without text":               {New(Asking, 0, 0, 1000, "", ""), false},
		"asking with a result":              {New(Asking, 0, UserUnknown, 1000, "", "certificate"), false},
		"a newline in the text":             {New(Log, 3, 0, 1000, "", "a\nb"), false},
		"an escape in the text":             {New(Log, 3, 0, 1000, "", "a\x1bb"), false},
		"a delete in the user":              {New(Verdict, 3, Success, 1000, "a\x7f", ""), false},
		"a text without an end":             {New(Log, 3, 0, 1000, "", string(bytes.Repeat([]byte("x"), 740))), false},
		"a text that ends in the last byte": {New(Log, 3, 0, 1000, "", string(bytes.Repeat([]byte("x"), 739))), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Valid(test.record.Bytes()); got != test.valid {
				t.Errorf("valid: %v, want %v", got, test.valid)
			}
		})
	}
	// No other code is accepted, neither PAM's nor others.
	results := []int{Success, UserUnknown, Ignore, Unavailable, ServiceError}
	for result := range 300 {
		user := ""
		if result == Success {
			user = "alice"
		}
		if got := Valid(New(Verdict, 3, uint32(result), 1000, user, "").Bytes()); got != slices.Contains(results, result) {
			t.Errorf("the result %d is valid: %v", result, got)
		}
	}
	other := New(Log, 3, 0, 1000, "", "x")
	other.Magic[3] = '2'
	if Valid(other.Bytes()) {
		t.Error("a record of another version is valid")
	}
}

// TestTheTableOfResults compares the table with libpam's header and the manual page.
func TestTheTableOfResults(t *testing.T) {
	page, err := os.ReadFile("../../man/pam_cockpit_cert.8")
	if err != nil {
		t.Fatal(err)
	}
	for result, code := range map[login.Result]uint32{
		login.Success:      Success,
		login.UserUnknown:  UserUnknown,
		login.Ignore:       Ignore,
		login.Unavailable:  Unavailable,
		login.ServiceError: ServiceError,
		0:                  ServiceError, // none of them
		login.Result(77):   ServiceError,
	} {
		if got := result.PAMCode(); got != code {
			t.Errorf("%v is PAM's code %d, want %d", result, got, code)
		}
		if line := ".It Cm " + result.String() + " Pq Dv " + result.PAMName() + "\n"; result.String() != "no result" && !strings.Contains(string(page), line) {
			t.Errorf("the manual page has no %q", line)
		}
	}
}

// FuzzValid checks that every record that the gate accepts is safe for syslog and PAM.
func FuzzValid(f *testing.F) {
	f.Add(New(Log, 6, 0, 1000, "", "hello").Bytes())
	f.Add(New(Asking, 0, 0, 1000, "", "certificate").Bytes())
	f.Add(New(Verdict, 6, Success, 1000, "alice", "text").Bytes())
	f.Add(New(Verdict, 3, ServiceError, 1000, "", "text").Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		padded := make([]byte, Size)
		copy(padded, data)
		if !Valid(padded) {
			return
		}
		var r Record
		if err := binary.Read(bytes.NewReader(padded), binary.NativeEndian, &r); err != nil {
			t.Fatal(err)
		}
		user, ended := text(r.User[:257])
		if !ended {
			t.Error("the user does not end")
		}
		if _, ended := text(r.Text[:]); !ended {
			t.Error("the text does not end")
		}
		if r.Priority > 7 || r.Kind < Log || r.Kind > Verdict {
			t.Errorf("out of range: %+v", r)
		}
		if isSuccess := r.Kind == Verdict && r.Result == Success; isSuccess != (user != "") {
			t.Errorf("user %q beside kind %d, result %d", user, r.Kind, r.Result)
		}
	})
}

// text returns a C string that is printable, and whether it ends.
func text(b []byte) (string, bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return "", false
	}
	for _, c := range b[:i] {
		if c < 0x20 || c == 0x7f {
			return "", false
		}
	}
	return string(b[:i]), true
}
