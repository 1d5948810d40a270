// Package sparse writes bytes one after the other to what can be written at
// random, such as an image's file, and leaves out what is zero there already: a
// file gets holes, and a memory of sparse pages no pages.
//
// It refuses to go back, and to make zeros of what was something else before.
package sparse

import (
	"bytes"
	"fmt"
	"io"
)

const (
	bufferSize = 1 << 20
	holeSize   = 4 << 10  // of what is looked at for zeros
	directSize = 32 << 10 // of what is worth no copy
)

var zeros [holeSize]byte

// Writer writes one byte after the other, without blocks of zeros. What was given
// to it is written when it is flushed, or before. It is for one goroutine.
type Writer struct {
	w   io.WriterAt
	at  int64 // of the buffer's first byte
	buf []byte
}

// NewWriter writes to w from a byte on. All of w from there on reads as zeros, or
// is behind the end of a file, whose size the caller has to set.
func NewWriter(w io.WriterAt, at int64) *Writer {
	return &Writer{w, at, make([]byte, 0, bufferSize)}
}

// Write implements [io.Writer].
func (s *Writer) Write(p []byte) (int, error) {
	n := len(p)
	if n >= directSize {
		if err := s.Flush(); err != nil {
			return 0, err
		}
		return n, s.write(p)
	}
	for len(p) > 0 {
		part := p[:min(len(p), bufferSize-len(s.buf))]
		s.buf = append(s.buf, part...)
		p = p[len(part):]
		if len(s.buf) == bufferSize {
			if err := s.Flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// Skip goes on at a later byte; those between are zeros. One that is behind what
// was written already is an error.
func (s *Writer) Skip(to int64) error {
	gap := to - s.at - int64(len(s.buf))
	if gap < 0 {
		return fmt.Errorf("byte %d was written before", to)
	}
	if gap <= holeSize {
		_, err := s.Write(zeros[:gap])
		return err
	}
	if err := s.Flush(); err != nil {
		return err
	}
	s.at = to
	return nil
}

// Flush writes what was not yet.
func (s *Writer) Flush() error {
	err := s.write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// write writes b, each run of blocks that are not zeros in one.
func (s *Writer) write(b []byte) error {
	for from := 0; from < len(b); {
		to := from
		for to < len(b) && !IsZero(b[to:min(to+holeSize, len(b))]) {
			to = min(to+holeSize, len(b))
		}
		if to == from {
			from = min(from+holeSize, len(b))
			continue
		}
		if _, err := s.w.WriteAt(b[from:to], s.at+int64(from)); err != nil {
			return err
		}
		from = to
	}
	s.at += int64(len(b))
	return nil
}

// IsZero reports whether all bytes are zeros.
func IsZero(b []byte) bool {
	for len(b) > holeSize {
		if !bytes.Equal(b[:holeSize], zeros[:]) {
			return false
		}
		b = b[holeSize:]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
