// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MessageKind is the meaning of cockpit-session's message for the login.
type MessageKind int

const (
	// Other is any message that does not matter for the login.
	Other MessageKind = iota
	// Challenge asks for any kind of credentials ("*").
	Challenge
	// Prompt asks for something else: a PAM module needs an answer.
	Prompt
	// Init says that the session is open.
	Init
	// Failure says that the login failed.
	Failure
)

// A Message is a message of cockpit-session.
type Message struct {
	Kind MessageKind
	// Cookie identifies a Challenge; the reply has to repeat it.
	Cookie string
	// Asked is the text of a Prompt.
	Asked string
	// Problem is the code of a Failure.
	Problem string
	// Text is PAM's text about a Failure, or before a Prompt.
	Text string
}

var (
	// ErrMalformed means that a payload is not a reply to an authorize challenge.
	ErrMalformed = errors.New("malformed reply to the authorize challenge")
	// ErrScheme means that a reply has credentials other than a client certificate.
	ErrScheme = errors.New("not a client certificate login")
)

// ParseMessage parses the payload of a frame.
func ParseMessage(payload []byte) Message {
	text, ok := control(payload)
	if !ok {
		return Message{}
	}
	o, err := parse(text)
	if err != nil {
		return unescaped(string(text))
	}
	member := func(key string) string {
		value, _ := o.text(key)
		return value
	}
	switch member("command") {
	case "init":
		if problem, ok := o.text("problem"); ok {
			return Message{Kind: Failure, Problem: problem, Text: member("message")}
		}
		return Message{Kind: Init}
	case "authorize":
		challenge := member("challenge")
		if challenge == "*" {
			return Message{Kind: Challenge, Cookie: member("cookie")}
		}
		return Message{
			Kind:  Prompt,
			Asked: prompt(challenge),
			Text:  strings.TrimSpace(member("error") + "\n" + member("message")),
		}
	}
	return Message{}
}

// prompt returns the text of "X-Conversation NONCE TEXT" (doc/authentication.md).
// The text is in base64, and missing if it is empty.
func prompt(challenge string) string {
	fields := strings.Fields(challenge)
	if len(fields) == 2 && fields[0] == "X-Conversation" {
		return ""
	}
	if len(fields) == 3 && fields[0] == "X-Conversation" {
		if text, err := base64.StdEncoding.DecodeString(fields[2]); err == nil {
			return string(text)
		}
	}
	return challenge
}

// unescaped reads the problem of a cockpit-session before 362, which does not
// escape quotes and line ends in PAM's text (exit_init_problem in its
// session-utils.c), so that it is not valid JSON.
func unescaped(text string) Message {
	rest, begins := strings.CutPrefix(text, `{"command":"init","version":1,"problem":"`)
	rest, ends := strings.CutSuffix(rest, `"}`)
	problem, message, both := strings.Cut(rest, `","message":"`)
	if !begins || !ends || !both {
		return Message{}
	}
	return Message{Kind: Failure, Problem: problem, Text: message}
}

// certificate is the scheme; in Cockpit 239 it is the whole response.
const certificate = "tls-cert"

// noUser replaces the response. It is the scheme, and ":" in base64: an empty user
// name and password. Without the ":" cockpit-session would have no user name
// at all; if PAM then refuses the login, cockpit-session crashes while it records
// that (btmp_log in its session-utils.c, up to 370 at least), before it has told
// the reason.
const noUser = "Basic Og=="

// RewriteReply returns the reply to the challenge with this cookie, with its
// response, "tls-cert" and perhaps a token, replaced by noUser. The rest of
// payload stays, without blanks, because cockpit-session searches it for
// `"response":"`. peer is the browser's address, if the reply has it.
//
// The error is ErrMalformed or ErrScheme.
func RewriteReply(payload []byte, cookie string) (changed []byte, peer string, err error) {
	text, ok := control(payload)
	if !ok {
		return nil, "", fmt.Errorf("%w: not a control message", ErrMalformed)
	}
	message, err := parse(text)
	if err != nil {
		return nil, "", err
	}
	if command, _ := message.text("command"); command != "authorize" {
		return nil, "", fmt.Errorf("%w: the command is %.40q", ErrMalformed, command)
	}
	if got, ok := message.text("cookie"); !ok || got != cookie {
		return nil, "", fmt.Errorf("%w: the cookie is not that of the challenge", ErrMalformed)
	}
	response, ok := message.text("response")
	if !ok {
		return nil, "", fmt.Errorf("%w: no response", ErrMalformed)
	}
	if !isCertificate(response) {
		scheme, _, _ := strings.Cut(response, " ")
		return nil, "", fmt.Errorf("%w: the scheme is %.40q", ErrScheme, scheme)
	}

	value := message.values["response"]
	out := make([]byte, 0, len(payload)+len(`"`+noUser+`"`))
	out = append(out, '\n')
	out = append(out, message.compact[:value.start]...)
	out = append(out, `"`+noUser+`"`...)
	out = append(out, message.compact[value.end:]...)

	// cockpit-session uses the first match in the whole text (get_authorize_key
	// in src/session/session-utils.c), so that the text must have only one, at
	// any depth. Otherwise an attacker's match could be used instead.
	if bytes.Count(out, []byte(`"response":"`)) != 1 {
		return nil, "", fmt.Errorf("%w: more than one response", ErrMalformed)
	}
	peer, _ = message.text("remote-peer")
	return out, peer, nil
}

// Problem returns the message that ends a login, with one of Cockpit's problem
// codes and an explanation for the user.
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

// isCertificate accepts "tls-cert" and "tls-cert TOKEN". The token names a file
// of cockpit-tls. The module does not use it, because it relies on the kernel
// instead, so that any single word will do.
func isCertificate(response string) bool {
	if response == certificate {
		return true
	}
	token, ok := strings.CutPrefix(response, certificate+" ")
	return ok && token != "" && !strings.ContainsAny(token, " \t\r\n")
}

// control returns the JSON text of a control message, whose payload begins with
// an empty channel name and a line feed.
func control(payload []byte) ([]byte, bool) {
	return bytes.CutPrefix(payload, []byte{'\n'})
}

// object is the top level of a JSON object.
type object struct {
	compact []byte
	values  map[string]span
}

// span is the place of a value in object.compact.
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
