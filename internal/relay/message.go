// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MessageKind is what a message from cockpit-session is to its login.
type MessageKind int

const (
	// Other is any message that the login need not know.
	Other MessageKind = iota
	// Challenge asks for whatever credentials there are ("*").
	Challenge
	// Prompt asks for something else.
	Prompt
	// Init says that the login is over, with a session or a problem.
	Init
)

var (
	// ErrMalformed means that a payload is no reply to an authorize challenge.
	ErrMalformed = errors.New("malformed reply to the authorize challenge")
	// ErrScheme means that a reply offers something else than a client certificate.
	ErrScheme = errors.New("not a client certificate login")
)

// ParseMessage tells what the payload of a frame is, and the cookie by which the
// reply to a Challenge must be known.
func ParseMessage(payload []byte) (kind MessageKind, cookie string) {
	text, ok := control(payload)
	if !ok {
		return Other, ""
	}
	message, err := parse(text)
	if err != nil {
		return Other, ""
	}
	switch command, _ := message.text("command"); command {
	case "init":
		return Init, ""
	case "authorize":
		cookie, _ := message.text("cookie")
		if challenge, _ := message.text("challenge"); challenge == "*" {
			return Challenge, cookie
		}
		return Prompt, cookie
	}
	return Other, ""
}

// certificate is the scheme; in Cockpit 239 it is the whole response.
const certificate = "tls-cert"

// nobody is what replaces it: the scheme and, in base64, ":". With nothing behind
// the scheme cockpit-session has no user name at all, and where PAM refuses it
// dies while it records the failed login (btmp_log in its session-utils.c, up to
// 370 at least), with the reason unsaid.
const nobody = "Basic Og=="

// RewriteReply returns the reply to the challenge with the given cookie with its
// response, "tls-cert" and perhaps a token, replaced by that of nobody. All the
// rest of payload is kept, in the compact form that cockpit-session's search
// for `"response":"` needs.
//
// The error is ErrMalformed or ErrScheme.
func RewriteReply(payload []byte, cookie string) ([]byte, error) {
	text, ok := control(payload)
	if !ok {
		return nil, fmt.Errorf("%w: not a control message", ErrMalformed)
	}
	message, err := parse(text)
	if err != nil {
		return nil, err
	}
	if command, _ := message.text("command"); command != "authorize" {
		return nil, fmt.Errorf("%w: the command is %.40q", ErrMalformed, command)
	}
	if got, ok := message.text("cookie"); !ok || got != cookie {
		return nil, fmt.Errorf("%w: the cookie is not that of the challenge", ErrMalformed)
	}
	response, ok := message.text("response")
	if !ok {
		return nil, fmt.Errorf("%w: no response", ErrMalformed)
	}
	if !isCertificate(response) {
		scheme, _, _ := strings.Cut(response, " ")
		return nil, fmt.Errorf("%w: the scheme is %.40q", ErrScheme, scheme)
	}

	value := message.values["response"]
	out := make([]byte, 0, len(payload)+len(`"`+nobody+`"`))
	out = append(out, '\n')
	out = append(out, message.compact[:value.start]...)
	out = append(out, `"`+nobody+`"`...)
	out = append(out, message.compact[value.end:]...)

	// cockpit-session takes the first match in the whole text (get_authorize_key
	// in src/session/session-utils.c), so there must be no other, at any depth.
	if bytes.Count(out, []byte(`"response":"`)) != 1 {
		return nil, fmt.Errorf("%w: more than one response", ErrMalformed)
	}
	return out, nil
}

// Problem returns the message that ends a login, for a problem code that
// cockpit-ws knows and an explanation in plain words.
func Problem(code, explanation string) []byte {
	// Strings always marshal.
	text, _ := json.Marshal(struct {
		Command string `json:"command"`
		Version int    `json:"version"`
		Problem string `json:"problem"`
		Message string `json:"message"`
	}{"init", 1, code, explanation})
	return append([]byte{'\n'}, text...)
}

// isCertificate accepts "tls-cert" and "tls-cert TOKEN". The token names a
// file of cockpit-tls; the module does not need it, for it takes the word of
// the kernel instead, and so its form does not matter beyond being one word.
func isCertificate(response string) bool {
	if response == certificate {
		return true
	}
	token, ok := strings.CutPrefix(response, certificate+" ")
	return ok && token != "" && !strings.ContainsAny(token, " \t\r\n")
}

// control returns the JSON text of a control message: its payload begins with
// the empty name of a channel and a line feed.
func control(payload []byte) ([]byte, bool) {
	return bytes.CutPrefix(payload, []byte{'\n'})
}

// object is the top level of a JSON object.
type object struct {
	compact []byte
	values  map[string]span
}

// span is where a value lies in object.compact.
type span struct{ start, end int }

func parse(text []byte) (*object, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	o := &object{compact: compact.Bytes(), values: map[string]span{}}
	decoder := json.NewDecoder(bytes.NewReader(o.compact))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		key, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		if _, twice := o.values[key]; twice {
			return nil, fmt.Errorf("%w: %.40q twice", ErrMalformed, key)
		}
		end := int(decoder.InputOffset())
		o.values[key] = span{end - len(value), end}
	}
	return o, nil
}

// text returns a member that is a string.
func (o *object) text(key string) (string, bool) {
	value, ok := o.values[key]
	if !ok {
		return "", false
	}
	var text *string
	if err := json.Unmarshal(o.compact[value.start:value.end], &text); err != nil || text == nil {
		return "", false
	}
	return *text, true
}
