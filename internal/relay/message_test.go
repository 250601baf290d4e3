// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

const token = "69cb2a18e6a0b1d3a3ff0e6f0a6d9c0b6a7f0b3bd6a1a31c3ea40a1d6be01da7"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, payload string
		want          Message
	}{
		{"the challenge of cockpit-session, which ends in a line feed",
			"\n{\"command\":\"authorize\",\"cookie\":\"session531764\",\"challenge\":\"*\"}\n", Message{Kind: Challenge, Cookie: "session531764"}},
		{"a prompt of PAM's", "\n" + `{"command":"authorize","cookie":"c","challenge":"X-Conversation n UGFzc3dvcmQ6IA==","echo":true}`,
			Message{Kind: Prompt, Asked: "Password: "}},
		{"a prompt after an error and a message",
			"\n" + `{"command":"authorize","cookie":"c", "challenge": "X-Conversation n eA==", "message": "info", "error": "wrong"}`,
			Message{Kind: Prompt, Asked: "x", Text: "wrong\ninfo"}},
		{"a prompt without a text", "\n" + `{"command":"authorize","cookie":"c","challenge":"X-Conversation n","error":"why"}`,
			Message{Kind: Prompt, Text: "why"}},
		{"a prompt that is not base64", "\n" + `{"command":"authorize","cookie":"c","challenge":"X-Conversation n !"}`,
			Message{Kind: Prompt, Asked: "X-Conversation n !"}},
		{"a challenge for one scheme", "\n" + `{"command":"authorize","cookie":"c","challenge":"negotiate"}`, Message{Kind: Prompt, Asked: "negotiate"}},
		{"a session", "\n" + `{"command":"init","version":1,"host":"localhost"}`, Message{Kind: Init}},
		{"an end with a problem", "\n" + `{"command":"init","version":1,"problem":"authentication-failed","message":"no"}`,
			Message{Kind: Failure, Problem: "authentication-failed", Text: "no"}},
		{"a text with quotes and line ends that Cockpit up to 361 does not escape",
			"\n" + `{"command":"init","version":1,"problem":"access-denied","message":"System ` + "is \"down\"\n\tuntil 8:00, C:\\temp" + `"}`,
			Message{Kind: Failure, Problem: "access-denied", Text: "System is \"down\"\n\tuntil 8:00, C:\\temp"}},
		{"another command", "\n" + `{"command":"ping"}`, Message{}},
		{"data of a channel", "4:1!2\n" + `{"command":"authorize","cookie":"c","challenge":"*"}`, Message{}},
		{"a challenge that is not JSON", "\n" + `{"command":"authorize","cookie":"c","challenge":"*"`, Message{}},
		{"a challenge inside another message", "\n" + `{"command":"x","y":{"command":"authorize","cookie":"c","challenge":"*"}}`, Message{}},
		{"a list", "\n[]", Message{}},
		{"nothing", "", Message{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ParseMessage([]byte(test.payload)); got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	for _, test := range []struct{ name, payload, want string }{
		{"Cockpit 337 gives a token and the remote peer",
			`{"command":"authorize","cookie":"x1","response":"tls-cert ` + token + `","remote-peer":"::ffff:127.0.0.1"}`,
			`{"command":"authorize","cookie":"x1","response":"Basic Og==","remote-peer":"::ffff:127.0.0.1"}`},
		{"Cockpit 287 gives a token",
			`{"command":"authorize","cookie":"x1","response":"tls-cert ` + token + `"}`,
			`{"command":"authorize","cookie":"x1","response":"Basic Og=="}`},
		{"Cockpit 239 gives nothing but the scheme",
			`{"command":"authorize","cookie":"x1","response":"tls-cert"}`,
			`{"command":"authorize","cookie":"x1","response":"Basic Og=="}`},
		{"the order does not matter",
			`{"response":"tls-cert x","cookie":"x1","command":"authorize"}`,
			`{"response":"Basic Og==","cookie":"x1","command":"authorize"}`},
		{"members that Cockpit may add one day are kept, byte for byte",
			`{"a":[1,2.50,{"b":null}],"command":"authorize","c":"\u00e9\u003c<é","cookie":"x1","response":"tls-cert x","z":1e400}`,
			`{"a":[1,2.50,{"b":null}],"command":"authorize","c":"\u00e9\u003c<é","cookie":"x1","response":"Basic Og==","z":1e400}`},
		{"blanks go, for cockpit-session would not find the key",
			"{ \"command\" : \"authorize\",\n\t\"cookie\": \"x1\", \"response\" : \"tls-cert x\", \"s\": \" : \" }\n",
			`{"command":"authorize","cookie":"x1","response":"Basic Og==","s":" : "}`},
		{"a value may look like the key",
			`{"command":"authorize","a":"response","b":"\"response\":\"","cookie":"x1","response":"tls-cert x"}`,
			`{"command":"authorize","a":"response","b":"\"response\":\"","cookie":"x1","response":"Basic Og=="}`},
		{"escapes in the response are read",
			`{"command":"authorize","cookie":"x1","response":"tls\u002dcert x"}`,
			`{"command":"authorize","cookie":"x1","response":"Basic Og=="}`},
		{"escapes in the cookie are read",
			`{"command":"authorize","cookie":"x\u0031","response":"tls-cert x"}`,
			`{"command":"authorize","cookie":"x\u0031","response":"Basic Og=="}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, peer, err := RewriteReply([]byte("\n"+test.payload), "x1")
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "\n"+test.want {
				t.Errorf("got  %q\nwant %q", got, "\n"+test.want)
			}
			if strings.Contains(test.payload, "127.0.0.1") != (peer == "::ffff:127.0.0.1") {
				t.Errorf("the browser's address is %q", peer)
			}
		})
	}
}

func TestRewriteRefuses(t *testing.T) {
	for _, test := range []struct {
		name, payload string
		err           error
	}{
		{"a password", "\n" + `{"command":"authorize","cookie":"x1","response":"Basic cm9vdDp4"}`, ErrScheme},
		{"an empty password", "\n" + `{"command":"authorize","cookie":"x1","response":"Basic "}`, ErrScheme},
		{"a ticket", "\n" + `{"command":"authorize","cookie":"x1","response":"Negotiate YII="}`, ErrScheme},
		{"another scheme that begins so", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-certificate x"}`, ErrScheme},
		{"a scheme with a colon", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert:x"}`, ErrScheme},
		{"another case", "\n" + `{"command":"authorize","cookie":"x1","response":"TLS-Cert x"}`, ErrScheme},
		{"an empty token", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert "}`, ErrScheme},
		{"two tokens", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert x y"}`, ErrScheme},
		{"two lines", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert x\ny"}`, ErrScheme},
		{"a blank before the scheme", "\n" + `{"command":"authorize","cookie":"x1","response":" tls-cert x"}`, ErrScheme},
		{"an empty response", "\n" + `{"command":"authorize","cookie":"x1","response":""}`, ErrScheme},
		{"no response", "\n" + `{"command":"authorize","cookie":"x1"}`, ErrMalformed},
		{"a response that is null", "\n" + `{"command":"authorize","cookie":"x1","response":null}`, ErrMalformed},
		{"a response that is a list", "\n" + `{"command":"authorize","cookie":"x1","response":["tls-cert x"]}`, ErrMalformed},
		{"a response in another case", "\n" + `{"command":"authorize","cookie":"x1","Response":"tls-cert x"}`, ErrMalformed},
		{"a response with an escaped name, which cockpit-session would not find",
			"\n" + `{"command":"authorize","cookie":"x1","respons\u0065":"tls-cert x"}`, ErrMalformed},
		{"two responses", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert x","response":"Basic cm9vdDp4"}`, ErrMalformed},
		{"two responses, one with an escaped name",
			"\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert x","respons\u0065":"Basic cm9vdDp4"}`, ErrMalformed},
		{"a response in a nested object, which cockpit-session would find first",
			"\n" + `{"command":"authorize","a":{"response":"Basic cm9vdDp4"},"cookie":"x1","response":"tls-cert x"}`, ErrMalformed},
		{"another cookie", "\n" + `{"command":"authorize","cookie":"x2","response":"tls-cert x"}`, ErrMalformed},
		{"no cookie", "\n" + `{"command":"authorize","response":"tls-cert x"}`, ErrMalformed},
		{"another command", "\n" + `{"command":"init","cookie":"x1","response":"tls-cert x"}`, ErrMalformed},
		{"no command", "\n" + `{"cookie":"x1","response":"tls-cert x"}`, ErrMalformed},
		{"data of a channel", "4:1!2\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert x"}`, ErrMalformed},
		{"no line feed", `{"command":"authorize","cookie":"x1","response":"tls-cert x"}`, ErrMalformed},
		{"a list", "\n[]", ErrMalformed},
		{"a string", "\n\"tls-cert x\"", ErrMalformed},
		{"nothing", "", ErrMalformed},
		{"a line feed", "\n", ErrMalformed},
		{"JSON that is cut off", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert x"`, ErrMalformed},
		{"more behind the JSON", "\n" + `{"command":"authorize","cookie":"x1","response":"tls-cert x"}{}`, ErrMalformed},
		{"a NUL, where cockpit-session would stop reading",
			"\n" + `{"command":"authorize","cookie":"x1",` + "\x00" + `"response":"tls-cert x"}`, ErrMalformed},
		{"a NUL in a string", "\n" + `{"command":"authorize","cookie":"x1","a":"` + "\x00" + `","response":"tls-cert x"}`, ErrMalformed},
		{"nesting without end", "\n" + strings.Repeat("[", 60000), ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := RewriteReply([]byte(test.payload), "x1")
			if !errors.Is(err, test.err) {
				t.Errorf("got %q, %v, want %v", got, err, test.err)
			}
		})
	}
}

func TestProblem(t *testing.T) {
	got := Problem("internal-error", "a \"quote\",\na line, \x01 and \xff")
	text, ok := bytes.CutPrefix(got, []byte("\n"))
	if !ok {
		t.Fatalf("not a control message: %q", got)
	}
	var message map[string]any
	if err := json.Unmarshal(text, &message); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	want := map[string]any{"command": "init", "version": 1.0, "problem": "internal-error",
		"message": "a \"quote\",\na line, \x01 and \ufffd"}
	if !reflect.DeepEqual(message, want) {
		t.Errorf("got  %v\nwant %v", message, want)
	}
	if message := ParseMessage(got); message.Kind != Failure {
		t.Errorf("taken for %+v", message)
	}
}

// FuzzRewrite checks that a rewritten reply is still JSON, differs only in the
// response, and that cockpit-session's search finds what a JSON parser finds.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		`{"command":"authorize","cookie":"x1","response":"tls-cert ` + token + `","remote-peer":"::1"}`,
		`{"command":"authorize","cookie":"x1","response":"tls-cert"}`,
		`{ "command" : "authorize","cookie":"x1", "response" : "tls-cert x" , "a":{"b":[1e5,"\u00e9\\"]}}`,
		`{"command":"authorize","cookie":"x1","a":{"response":"x"},"response":"tls-cert x"}`,
		`{"command":"authorize","cookie":"x1","a":"\"response\":\"","response":"tls-cert x","b":"` + "\xff" + `"}`,
	} {
		f.Add([]byte("\n" + seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, _, err := RewriteReply(payload, "x1")
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrScheme) {
				t.Fatalf("neither ErrMalformed nor ErrScheme: %v", err)
			}
			return
		}
		// The reference: decode both wholly.
		var before, after map[string]any
		decode := func(text []byte, to *map[string]any) {
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.UseNumber()
			if err := decoder.Decode(to); err != nil || decoder.More() {
				t.Fatalf("%q: %v", text, err)
			}
		}
		decode(payload[1:], &before)
		decode(got[1:], &after)
		response, ok := before["response"].(string)
		if !ok || response != "tls-cert" && !strings.HasPrefix(response, "tls-cert ") {
			t.Fatalf("rewrote the response %q", before["response"])
		}
		before["response"] = "Basic Og=="
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%q became %q", payload, got)
		}
		// As bytes: the same prefix and suffix around the value.
		var compact bytes.Buffer
		if err := json.Compact(&compact, payload[1:]); err != nil {
			t.Fatal(err)
		}
		head, tail, _ := strings.Cut(string(got[1:]), `"response":"Basic Og=="`)
		if !strings.HasPrefix(compact.String(), head+`"response":"`) || !strings.HasSuffix(compact.String(), tail) {
			t.Fatalf("%q became %q", compact.String(), got)
		}
		// As get_authorize_key in Cockpit's session-utils.c does it.
		_, found, _ := strings.Cut(string(got), `"response":"`)
		if value, _, ok := strings.Cut(found, `"`); !ok || value != "Basic Og==" {
			t.Fatalf("cockpit-session would find %q in %q", value, got)
		}
	})
}
