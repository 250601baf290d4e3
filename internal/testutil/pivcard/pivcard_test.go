// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pivcard

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"testing"
)

// reader is a reader with a card in it, and the commands of ISO/IEC 7816-4.
type reader struct {
	*testing.T
	slot net.Conn
}

func insert(t *testing.T, card *Card) reader {
	slot, other := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- card.Insert(other) }()
	t.Cleanup(func() {
		slot.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return reader{t, slot}
}

func (r reader) say(message []byte) {
	r.Helper()
	if err := send(r.slot, message); err != nil {
		r.Fatal(err)
	}
}

func (r reader) hear() []byte {
	r.Helper()
	answer, err := receive(r.slot)
	if err != nil {
		r.Fatal(err)
	}
	return answer
}

// command sends a command in hex and data, and returns all of the answer, and the
// status in hex.
func (r reader) command(head string, data ...byte) ([]byte, string) {
	r.Helper()
	command, err := hex.DecodeString(head)
	if err != nil {
		r.Fatal(err)
	}
	if len(data) > 0 {
		command = append(append(command, byte(len(data))), data...)
	}
	var whole []byte
	for {
		r.say(command)
		answer := r.hear()
		whole = append(whole, answer[:len(answer)-2]...)
		status := answer[len(answer)-2:]
		if status[0] != 0x61 {
			return whole, hex.EncodeToString(status)
		}
		command = []byte{0, 0xc0, 0, 0, status[1]}
	}
}

func TestCard(t *testing.T) {
	card, err := New("123456")
	if err != nil {
		t.Fatal(err)
	}
	certificate := bytes.Repeat([]byte("certificate"), 70)
	card.Store(certificate)
	r := insert(t, card)
	r.say([]byte{1})
	r.say([]byte{4})
	if got := r.hear(); !bytes.Equal(got, answerToReset) {
		t.Errorf("the answer to reset is %x", got)
	}
	expect := func(want, head string, data ...byte) []byte {
		t.Helper()
		answer, status := r.command(head, data...)
		if status != want {
			t.Errorf("%s %x: %s, not %s", head, data, status, want)
		}
		return answer
	}
	expect("6a82", "00a40400", []byte("another application")...)
	expect("9000", "00a40400", application...)
	if got := expect("9000", "00cb3fff", 0x5c, 3, 0x5f, 0xc1, 5); !bytes.Contains(got, certificate) {
		t.Errorf("the certificate is %x", got)
	}
	expect("6a82", "00cb3fff", 0x5c, 3, 0x5f, 0xc1, 1)

	// As PKCS #1 pads a hash.
	hash := sha256.Sum256([]byte("a handshake"))
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20}, hash[:]...)
	block := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, blockSize-3-len(info))...)
	block = append(append(block, 0), info...)
	template := tlv(0x7c, tlv(0x82), tlv(0x81, block))
	sign := func(want string) []byte {
		t.Helper()
		expect("9000", "1087079a", template[:200]...)
		return expect(want, "0087079a", template[200:]...)
	}
	sign("6982")
	expect("63c3", "00200080", []byte("123457\xff\xff")...)
	sign("6982")
	expect("9000", "00200080", []byte("123456\xff\xff")...)
	signature := sign("9000")
	head := []byte{0x7c, 0x82, 1, 4, 0x82, 0x82, 1, 0}
	if !bytes.HasPrefix(signature, head) {
		t.Fatalf("the signature is %x", signature)
	}
	if err := rsa.VerifyPKCS1v15(card.Public(), crypto.SHA256, hash[:], signature[len(head):]); err != nil {
		t.Error(err)
	}

	r.say([]byte{0})
	sign("6982")
}

// A client may ask for less than there is.
func TestParts(t *testing.T) {
	s := session{rest: make([]byte, 600)}
	for _, step := range []struct {
		expected, length int
		status           string
	}{
		{255, 255, "6100"}, {256, 256, "6159"}, {256, 89, "9000"}, {256, 0, "9000"},
	} {
		answer := s.next(step.expected)
		body, status := answer[:len(answer)-2], hex.EncodeToString(answer[len(answer)-2:])
		if len(body) != step.length || status != step.status {
			t.Errorf("%d bytes, %s: %d bytes, %s", step.length, step.status, len(body), status)
		}
	}
}

func TestPIN(t *testing.T) {
	for _, pin := range []string{"12345", "123456789"} {
		if _, err := New(pin); err == nil {
			t.Errorf("the PIN %s is taken", pin)
		}
	}
}
