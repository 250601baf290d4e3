// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestArgumentsAreReadAsTheModuleDoes(t *testing.T) {
	const usual = defaultTimeout * time.Second
	for _, test := range []struct {
		args string
		want Arguments
	}{
		{"", Arguments{Timeout: usual}},
		{"debug allow_unvalidated timeout=3", Arguments{Debug: true, AllowUnvalidated: true, Timeout: 3 * time.Second}},
		{"accepted", Arguments{Timeout: usual, Accepted: true}},
		{"refused", Arguments{Timeout: usual, Accepted: true}},
		{"timeout=600", Arguments{Timeout: 600 * time.Second}},
		{"timeout=3 timeout=601", Arguments{Timeout: usual, Ignored: []string{"timeout=601"}}},
		{"timeout=0", Arguments{Timeout: usual, Ignored: []string{"timeout=0"}}},
		{"timeout=+3 timeout= timeout=3s", Arguments{Timeout: usual, Ignored: []string{"timeout=+3", "timeout=", "timeout=3s"}}},
		{"no_ticket ticket_for=host@a.example.com ticket_for=HTTP@b", Arguments{Timeout: usual, NoTicket: true, TicketFor: []string{"host@a.example.com", "HTTP@b"}}},
		{"ticket_for= ticket_for=host ticket_for=host@ ticket_for=-r@b ticket_for=a/b@c no_ticket=1", Arguments{Timeout: usual,
			Ignored: []string{"ticket_for=", "ticket_for=host", "ticket_for=host@", "ticket_for=-r@b", "ticket_for=a/b@c", "no_ticket=1"}}},
		{"ticket_for=krbtgt@A ticket_for=host@a ticket_for=KRBTGT@A ticket_for=host@A", Arguments{Timeout: usual,
			TicketFor: []string{"host@a"}, Ignored: []string{"ticket_for=krbtgt@A", "ticket_for=KRBTGT@A"}}},
		{"Debug debug=1 use_first_pass", Arguments{Timeout: usual, Ignored: []string{"Debug", "debug=1", "use_first_pass"}}},
	} {
		if got := ReadArguments(strings.Fields(test.args)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %+v", test.args, got)
		}
	}
	header, err := os.ReadFile("../../module/options.h")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]int{"OPTIONS_TIMEOUT_DEFAULT": defaultTimeout, "OPTIONS_TIMEOUT_MAX": maxTimeout, "OPTIONS_TICKET_FOR_MAX": maxTicketFor} {
		if !strings.Contains(string(header), fmt.Sprintf("%s = %d", name, value)) && !strings.Contains(string(header), fmt.Sprintf("%s %d", name, value)) {
			t.Errorf("module/options.h has another %s than %d", name, value)
		}
	}
}
