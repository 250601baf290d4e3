// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// webSocket is a client of RFC 6455, with the parts of it that Cockpit needs.
type webSocket struct {
	connection *tls.Conn
	reader     *bufio.Reader
}

// The opcodes of RFC 6455, section 5.2.
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa
)

const (
	final  = 0x80 // in the first byte
	masked = 0x80 // in the second
)

// longest is the largest message, so that a wrong length is an error and does not
// allocate memory.
const longest = 64 << 20

func dial(config *tls.Config, path string, cookie *http.Cookie) (*webSocket, error) {
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	s := &webSocket{connection, bufio.NewReader(connection)}
	request, err := http.NewRequest(http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	request.AddCookie(cookie)
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Origin": "https://" + address,
		// Any key will do: it only protects against a cache in between.
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Protocol": "cockpit1",
	} {
		request.Header.Set(name, value)
	}
	if err := request.Write(connection); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(s.reader, request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("HTTP %s", answer.Status)
	}
	return s, nil
}

func (s *webSocket) close() { _ = s.connection.Close() }

// send sends a text message.
func (s *webSocket) send(message []byte) error { return s.frame(opText, message) }

func (s *webSocket) frame(opcode byte, payload []byte) error {
	header := []byte{final | opcode, masked}
	switch {
	case len(payload) < 126:
		header[1] |= byte(len(payload))
	case len(payload) <= 0xffff:
		header[1] |= 126
		header = binary.BigEndian.AppendUint16(header, uint16(len(payload)))
	default:
		header[1] |= 127
		header = binary.BigEndian.AppendUint64(header, uint64(len(payload)))
	}
	// Clients must mask. A mask of zeros leaves the text as it is; TLS encrypts it.
	header = append(header, 0, 0, 0, 0)
	_, err := s.connection.Write(append(header, payload...))
	return err
}

// receive returns the next message, whole.
func (s *webSocket) receive() ([]byte, error) {
	var message []byte
	for {
		var header [2]byte
		if _, err := io.ReadFull(s.reader, header[:]); err != nil {
			return nil, err
		}
		length := uint64(header[1] &^ masked)
		var err error
		switch length {
		case 126:
			var short uint16
			err = binary.Read(s.reader, binary.BigEndian, &short)
			length = uint64(short)
		case 127:
			err = binary.Read(s.reader, binary.BigEndian, &length)
		}
		if err != nil {
			return nil, err
		}
		if length+uint64(len(message)) > longest {
			return nil, errors.New("a message is too long")
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(s.reader, payload); err != nil {
			return nil, err
		}
		switch header[0] &^ final {
		case opContinue, opText, opBinary:
			message = append(message, payload...)
			if header[0]&final != 0 {
				return message, nil
			}
		case opPing:
			if err := s.frame(opPong, payload); err != nil {
				return nil, err
			}
		case opClose:
			return nil, io.EOF
		}
	}
}
