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

// MessageKind is what a message from cockpit-session is to its login.
type MessageKind int

const (
	// Other is any message that the login need not know.
	Other MessageKind = iota
	// Challenge asks for whatever credentials there are ("*").
	Challenge
	// Prompt asks for something else: a PAM module wants an answer.
	Prompt
	// Init says that there is a session.
	Init
	// Failure says that there is none.
	Failure
)

// A Message is one from cockpit-session.
type Message struct {
	Kind MessageKind
	// Cookie is what the reply to a Challenge must be known by.
	Cookie string
	// Asked is the text of a Prompt.
	Asked string
	// Problem is the code of a Failure.
	Problem string
	// Text is what PAM says about a Failure, or has said before a Prompt.
	Text string
}

var (
	// ErrMalformed means that a payload is no reply to an authorize challenge.
	ErrMalformed = errors.New("malformed reply to the authorize challenge")
	// ErrScheme means that a reply offers something else than a client certificate.
	ErrScheme = errors.New("not a client certificate login")
)

// ParseMessage tells what the payload of a frame is.
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

// prompt returns the text of "X-Conversation NONCE TEXT" (doc/authentication.md),
// whose text is in base64, and absent where it is empty.
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

// unescaped reads the problem of a cockpit-session before 362, which writes PAM's
// text as it is, quotes and line ends included (exit_init_problem in its
// session-utils.c).
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

// nobody is what replaces it: the scheme and, in base64, ":". With nothing behind
// the scheme cockpit-session has no user name at all, and where PAM refuses it
// dies while it records the failed login (btmp_log in its session-utils.c, up to
// 370 at least), with the reason unsaid.
const nobody = "Basic Og=="

// RewriteReply returns the reply to the challenge with the given cookie with its
// response, "tls-cert" and perhaps a token, replaced by that of nobody. All the
// rest of payload is kept, in the compact form that cockpit-session's search
// for `"response":"` needs. peer is the browser's address, where the reply has it.
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
	out := make([]byte, 0, len(payload)+len(`"`+nobody+`"`))
	out = append(out, '\n')
	out = append(out, message.compact[:value.start]...)
	out = append(out, `"`+nobody+`"`...)
	out = append(out, message.compact[value.end:]...)

	// cockpit-session takes the first match in the whole text (get_authorize_key
	// in src/session/session-utils.c), so there must be no other, at any depth.
	if bytes.Count(out, []byte(`"response":"`)) != 1 {
		return nil, "", fmt.Errorf("%w: more than one response", ErrMalformed)
	}
	peer, _ = message.text("remote-peer")
	return out, peer, nil
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
