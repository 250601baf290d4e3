// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNext(t *testing.T) {
	for _, test := range []struct {
		name, stream string
		payload      string
		err          error
		raw, rest    string
	}{
		{name: "a control message, and what follows stays on the stream",
			stream: "3\n\n{}5\nhello", payload: "\n{}", raw: "3\n\n{}", rest: "5\nhello"},
		{name: "the shortest frame", stream: "1\nx", payload: "x", raw: "1\nx"},
		{name: "the longest payload that the reader accepts",
			stream: "16\n0123456789abcdef", payload: "0123456789abcdef", raw: "16\n0123456789abcdef"},
		{name: "bytes that are no text", stream: "4\n\x00\xff\n\x80", payload: "\x00\xff\n\x80", raw: "4\n\x00\xff\n\x80"},
		{name: "nothing at all", stream: "", err: io.EOF},
		{name: "the end behind one digit", stream: "1", err: io.ErrUnexpectedEOF, raw: "1"},
		{name: "the end inside the length", stream: "12", err: io.ErrUnexpectedEOF, raw: "12"},
		{name: "the end behind the length", stream: "12\n", err: io.ErrUnexpectedEOF, raw: "12\n"},
		{name: "the end inside the payload", stream: "12\nabc", err: io.ErrUnexpectedEOF, raw: "12\nabc"},
		{name: "no length", stream: "\nabc", err: ErrLength, raw: "\n", rest: "abc"},
		{name: "an empty frame", stream: "0\nabc", err: ErrLength, raw: "0", rest: "\nabc"},
		{name: "a leading zero", stream: "03\nabc", err: ErrLength, raw: "0", rest: "3\nabc"},
		{name: "a sign", stream: "+3\nabc", err: ErrLength, raw: "+", rest: "3\nabc"},
		{name: "a negative length", stream: "-3\nabc", err: ErrLength, raw: "-", rest: "3\nabc"},
		{name: "a hexadecimal length", stream: "1f\nabc", err: ErrLength, raw: "1f", rest: "\nabc"},
		{name: "a carriage return", stream: "3\r\nabc", err: ErrLength, raw: "3\r", rest: "\nabc"},
		{name: "a blank before the length", stream: " 3\nabc", err: ErrLength, raw: " ", rest: "3\nabc"},
		{name: "eight digits are a length, and too long", stream: "99999999\nabc", err: ErrTooLong, raw: "99999999\n", rest: "abc"},
		{name: "nine digits are none", stream: "100000000\nabc", err: ErrLength, raw: "100000000", rest: "\nabc"},
		{name: "digits without end", stream: strings.Repeat("9", 1000), err: ErrLength, raw: "999999999", rest: strings.Repeat("9", 991)},
		{name: "one byte too long", stream: "17\n0123456789abcdefg", err: ErrTooLong, raw: "17\n", rest: "0123456789abcdefg"},
		{name: "an HTTP request", stream: "GET / HTTP/1.1\r\n\r\n", err: ErrLength, raw: "G", rest: "ET / HTTP/1.1\r\n\r\n"},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"at once":           func(r io.Reader) io.Reader { return r },
			"byte by byte":      iotest.OneByteReader,
			"end with the data": iotest.DataErrReader,
		} {
			t.Run(test.name+", "+how, func(t *testing.T) {
				stream := strings.NewReader(test.stream)
				reader := NewFrameReader(wrap(stream), 16)
				payload, err := reader.Next()
				if !errors.Is(err, test.err) {
					t.Errorf("error %v, want %v", err, test.err)
				}
				if string(payload) != test.payload {
					t.Errorf("payload %q, want %q", payload, test.payload)
				}
				if string(reader.Raw()) != test.raw {
					t.Errorf("took %q off the stream, want %q", reader.Raw(), test.raw)
				}
				if how == "end with the data" {
					return // it reads ahead
				}
				if rest, _ := io.ReadAll(stream); string(rest) != test.rest {
					t.Errorf("left %q on the stream, want %q", rest, test.rest)
				}
			})
		}
	}
}

func TestNextPassesTheErrorOfTheStreamOn(t *testing.T) {
	broken := errors.New("broken")
	for _, begin := range []string{"", "1", "12\n", "12\nabc"} {
		reader := NewFrameReader(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken)), 16)
		if _, err := reader.Next(); !errors.Is(err, broken) {
			t.Errorf("after %q: error %v, want that of the stream", begin, err)
		}
		if string(reader.Raw()) != begin {
			t.Errorf("took %q off the stream, want %q", reader.Raw(), begin)
		}
	}
}

func TestNextReadsFrameAfterFrame(t *testing.T) {
	reader := NewFrameReader(strings.NewReader("1\na11\nhello world2\n\n\n"), 16)
	for _, want := range []string{"a", "hello world", "\n\n"} {
		if payload, err := reader.Next(); err != nil || string(payload) != want {
			t.Fatalf("got %q, %v, want %q", payload, err, want)
		}
	}
	if _, err := reader.Next(); err != io.EOF {
		t.Errorf("at the end: %v, want %v", err, io.EOF)
	}
}

// FuzzNext checks that, whatever comes, the reader reads a prefix of the stream,
// keeps to its limit, and accepts only frames that AppendFrame makes.
func FuzzNext(f *testing.F) {
	for _, seed := range []string{"3\n\n{}", "0\n", "007\nx", "12345678\n", "123456789\n", "1\nx1\ny", "\n", "9"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		const bound = 64
		left := bytes.NewReader(stream)
		reader := NewFrameReader(left, bound)
		for {
			before := len(stream) - left.Len()
			payload, err := reader.Next()
			took := stream[before : len(stream)-left.Len()]
			if !bytes.Equal(took, reader.Raw()) {
				t.Fatalf("took %q, says %q", took, reader.Raw())
			}
			if len(took) > maxDigits+1+bound {
				t.Fatalf("took %d bytes", len(took))
			}
			if err != nil {
				return
			}
			if len(payload) == 0 || len(payload) > bound {
				t.Fatalf("a payload of %d bytes", len(payload))
			}
			if made := AppendFrame(nil, payload); !bytes.Equal(made, took) {
				t.Fatalf("%q was taken for the frame of %q, which is %q", took, payload, made)
			}
		}
	})
}
