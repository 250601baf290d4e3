// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxDigits is the largest number of digits in a frame's length. The rules are
// those of Cockpit (src/common/cockpitframe.c): at most eight digits, no leading
// zero, not zero.
const maxDigits = 8

var (
	// ErrLength means that a frame does not start with a valid length.
	ErrLength = errors.New("malformed frame length")
	// ErrTooLong means that a length is valid, but above the reader's limit.
	ErrTooLong = errors.New("frame too long")
)

// A FrameReader reads one frame at a time from a stream, and not a byte more:
// what follows the frame stays there for the stream's next reader.
type FrameReader struct {
	src io.Reader
	max int
	// raw is the frame as it was read, complete or not.
	raw []byte
}

// NewFrameReader returns a reader of frames with payloads of at most max bytes.
func NewFrameReader(src io.Reader, max int) *FrameReader {
	return &FrameReader{src: src, max: max}
}

// Next returns the payload of the next frame. It is valid until the next call.
//
// The error is io.EOF if the stream ends between frames, io.ErrUnexpectedEOF if
// it ends inside one, ErrLength, ErrTooLong, or the stream's own. After any error
// but io.EOF the stream cannot be read as frames any more.
func (r *FrameReader) Next() ([]byte, error) {
	r.raw = r.raw[:0]
	length, err := r.length()
	if err != nil {
		return nil, err
	}
	header := len(r.raw)
	frame := make([]byte, header+length)
	n, err := io.ReadFull(r.src, frame[copy(frame, r.raw):])
	r.raw = frame[:header+n]
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return r.raw[header:], nil
}

// Raw returns the bytes that the last Next read from the stream: the whole
// frame, or after an error a part of it.
func (r *FrameReader) Raw() []byte { return r.raw }

// length reads the length up to the line feed. It reads byte by byte, because a
// larger read could take bytes that follow the frame.
func (r *FrameReader) length() (int, error) {
	length := 0
	for {
		var b [1]byte
		if _, err := io.ReadFull(r.src, b[:]); err != nil {
			if errors.Is(err, io.EOF) && len(r.raw) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		digits := len(r.raw)
		r.raw = append(r.raw, b[0])
		switch {
		case b[0] == '\n' && digits > 0:
			if length > r.max {
				return 0, fmt.Errorf("%w: %d bytes, where at most %d are expected", ErrTooLong, length, r.max)
			}
			return length, nil
		case b[0] < '0' || b[0] > '9', b[0] == '0' && digits == 0, digits == maxDigits:
			return 0, fmt.Errorf("%w: %q", ErrLength, r.raw)
		}
		length = length*10 + int(b[0]-'0')
	}
}

// AppendFrame appends the frame of payload, which must not be empty, to dst.
func AppendFrame(dst, payload []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(payload)), 10)
	dst = append(dst, '\n')
	return append(dst, payload...)
}
