// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package pivcard is a smart card in software: a PIV card (NIST SP 800-73-4) with
// one RSA key, its certificate and a PIN, for the reader of vsmartcard's vpcd.
package pivcard

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
)

// Port is where vpcd waits for a card of its first slot.
const Port = 35963

// Card is a PIV card. It can be in one reader at a time.
type Card struct {
	key     *rsa.PrivateKey
	pin     []byte
	objects map[string][]byte // by the tag that GET DATA names

	mu         sync.Mutex
	signatures int
}

// New makes a card with a new key, and with a PIN of six to eight digits. It has no
// certificate yet.
func New(pin string) (*Card, error) {
	if len(pin) < 6 || len(pin) > 8 {
		return nil, errors.New("a PIN has six to eight digits")
	}
	// OpenSC offers elliptic curves only for cards that it knows by name.
	key, err := rsa.GenerateKey(rand.Reader, 8*blockSize)
	if err != nil {
		return nil, err
	}
	padded := append([]byte(pin), bytes.Repeat([]byte{0xff}, 8-len(pin))...)
	return &Card{key: key, pin: padded, objects: map[string][]byte{}}, nil
}

// blockSize is that of RSA 2048.
const blockSize = 256

// Public returns the public key, for an authority to certify.
func (c *Card) Public() *rsa.PublicKey { return &c.key.PublicKey }

// Store puts the certificate, in DER, on the card.
func (c *Card) Store(certificate []byte) {
	// The card's number, by which middleware tells cards apart.
	guid := sha256.Sum256(certificate)
	c.objects[cardholder] = tlv(0x53, tlv(0x30, make([]byte, 25)), tlv(0x34, guid[:16]),
		tlv(0x35, []byte("20991231")), tlv(0x3e), tlv(0xfe))
	c.objects[authentication] = tlv(0x53, tlv(0x70, certificate), tlv(0x71, []byte{0}), tlv(0xfe))
}

// Data objects, of SP 800-73-4 part 1, table 3.
const (
	cardholder     = "\x5f\xc1\x02" // Card Holder Unique Identifier
	authentication = "\x5f\xc1\x05" // X.509 Certificate for PIV Authentication
)

// Signatures returns how often the key was used.
func (c *Card) Signatures() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signatures
}

// answerToReset offers T=0 and T=1, and has no historical bytes: OpenSC recognizes
// the card by its application.
var answerToReset = []byte{0x3b, 0x80, 0x80, 0x01, 0x01}

// Insert has the card in a reader of vpcd until the connection ends: closing it
// takes the card out. Then it returns nil.
func (c *Card) Insert(reader io.ReadWriter) error {
	var power session
	for {
		message, err := receive(reader)
		switch {
		case err != nil:
			return nil
		case len(message) > 1:
			err = send(reader, power.answer(c, message))
		case len(message) == 1 && message[0] == 4:
			err = send(reader, answerToReset)
		default: // off, on, reset
			power = session{}
		}
		if err != nil {
			return fmt.Errorf("the card's answer: %w", err)
		}
	}
}

// receive reads a message of vpcd: two bytes with its length, and then the message.
func receive(reader io.Reader) ([]byte, error) {
	var length uint16
	if err := binary.Read(reader, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	message := make([]byte, length)
	_, err := io.ReadFull(reader, message)
	return message, err
}

func send(reader io.Writer, message []byte) error {
	_, err := reader.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// session is what the card remembers while it has power.
type session struct {
	verified bool   // the PIN
	chain    []byte // of a command's data, which is sent in parts
	rest     []byte // of an answer, for GET RESPONSE
}

// Status words, of ISO/IEC 7816-4.
const (
	success      = 0x9000
	moreData     = 0x6100 // and how much
	wrongPIN     = 0x63c3 // three tries are left, always
	wrongLength  = 0x6700
	unverified   = 0x6982
	wrongData    = 0x6a80
	notFound     = 0x6a82
	wrongPlace   = 0x6a86
	notSupported = 0x6d00
	unknownClass = 0x6e00
)

// application is the beginning of the PIV application's identifier.
var application = []byte{0xa0, 0x00, 0x00, 0x03, 0x08}

// answer carries out a command.
func (s *session) answer(c *Card, command []byte) []byte {
	data, expected, ok := split(command)
	if !ok {
		return reply(nil, wrongLength)
	}
	switch command[0] {
	case 0x10: // there is more to come
		s.chain = append(s.chain, data...)
		return reply(nil, success)
	case 0:
		data, s.chain = append(s.chain, data...), nil
	default:
		return reply(nil, unknownClass)
	}
	place := binary.BigEndian.Uint16(command[2:])
	if command[1] != 0xc0 {
		s.rest = nil
	}
	switch command[1] {
	case 0xa4: // SELECT
		if place != 0x0400 || !bytes.HasPrefix(data, application) {
			return reply(nil, notFound)
		}
		s.verified = false
		s.rest = tlv(0x61, tlv(0x4f, []byte{0x00, 0x00, 0x10, 0x00, 0x01, 0x00}), tlv(0x79, tlv(0x4f, application)))
	case 0xcb: // GET DATA
		object, ok := c.objects[string(bytes.TrimPrefix(data, []byte{0x5c, 3}))]
		if place != 0x3fff || !ok {
			return reply(nil, notFound)
		}
		s.rest = object
	case 0x20: // VERIFY
		return reply(nil, s.verify(c, place, data))
	case 0x87: // GENERAL AUTHENTICATE
		signature, status := s.sign(c, place, data)
		if status != success {
			return reply(nil, status)
		}
		s.rest = signature
	case 0xc0: // GET RESPONSE
	default:
		return reply(nil, notSupported)
	}
	return s.next(expected)
}

// split returns a short command's data and the most bytes that may be answered.
func split(command []byte) (data []byte, expected int, ok bool) {
	if len(command) < 4 {
		return nil, 0, false
	}
	rest := command[4:]
	if len(rest) > 1 {
		length := int(rest[0])
		if rest = rest[1:]; len(rest) < length {
			return nil, 0, false
		}
		data, rest = rest[:length], rest[length:]
	}
	switch {
	case len(rest) == 0, len(rest) == 1 && rest[0] == 0:
		return data, 256, true
	case len(rest) == 1:
		return data, int(rest[0]), true
	}
	return nil, 0, false
}

// next returns as much of the answer as is expected.
func (s *session) next(expected int) []byte {
	part := s.rest[:min(expected, len(s.rest))]
	s.rest = s.rest[len(part):]
	switch left := len(s.rest); {
	case left == 0:
		return reply(part, success)
	case left < 256:
		return reply(part, moreData+uint16(left))
	}
	return reply(part, moreData)
}

// verify compares a PIN, or tells whether it was verified.
func (s *session) verify(c *Card, place uint16, pin []byte) uint16 {
	switch {
	case place == 0xff80 && len(pin) == 0:
		s.verified = false
		return success
	case place != 0x0080:
		return wrongPlace
	case len(pin) > 0:
		s.verified = bytes.Equal(pin, c.pin)
	}
	if !s.verified {
		return wrongPIN
	}
	return success
}

// sign computes the key's answer to the challenge in a template for dynamic
// authentication: plain RSA, because the block is padded already.
func (s *session) sign(c *Card, place uint16, template []byte) ([]byte, uint16) {
	challenge, ok := bytes.CutPrefix(template, []byte{0x7c, 0x82, 1, 6, 0x82, 0, 0x81, 0x82, 1, 0})
	block := new(big.Int).SetBytes(challenge)
	switch {
	case place != 0x079a: // RSA 2048, and the key for PIV Authentication
		return nil, wrongPlace
	case !s.verified:
		return nil, unverified
	case !ok, len(challenge) != blockSize, block.Cmp(c.key.N) >= 0:
		return nil, wrongData
	}
	c.mu.Lock()
	c.signatures++
	c.mu.Unlock()
	signature := block.Exp(block, c.key.D, c.key.N).FillBytes(make([]byte, blockSize))
	return tlv(0x7c, tlv(0x82, signature)), success
}

func reply(data []byte, status uint16) []byte {
	return binary.BigEndian.AppendUint16(bytes.Clone(data), status)
}

// tlv returns a data object in BER, with a tag of one byte.
func tlv(tag byte, values ...[]byte) []byte {
	value := bytes.Join(values, nil)
	head := []byte{tag}
	switch length := len(value); {
	case length < 0x80:
		head = append(head, byte(length))
	case length < 0x100:
		head = append(head, 0x81, byte(length))
	default:
		head = binary.BigEndian.AppendUint16(append(head, 0x82), uint16(length))
	}
	return append(head, value...)
}
