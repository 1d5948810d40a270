package iso

import (
	"bytes"
	"io"
)

const (
	streamSize = 1 << 20
	holeSize   = 4 << 10  // of what is looked at for zeros
	directSize = 32 << 10 // of what is worth no copy
)

var zeros [holeSize]byte

// stream writes one byte after the other to a place, without blocks of zeros.
type stream struct {
	w   io.WriterAt
	at  int64 // of the buffer's first byte
	buf []byte
}

func newStream(w io.WriterAt, at int64) *stream {
	return &stream{w, at, make([]byte, 0, streamSize)}
}

func (s *stream) Write(p []byte) (int, error) {
	n := len(p)
	if n >= directSize {
		if err := s.flush(); err != nil {
			return 0, err
		}
		return n, s.write(p)
	}
	for len(p) > 0 {
		part := p[:min(len(p), streamSize-len(s.buf))]
		s.buf = append(s.buf, part...)
		p = p[len(part):]
		if len(s.buf) == streamSize {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// seek goes on to a later byte; those between are zeros.
func (s *stream) seek(to int64) error {
	gap := to - s.at - int64(len(s.buf))
	if gap <= holeSize {
		_, err := s.Write(zeros[:gap])
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.at = to
	return nil
}

// flush writes the buffer.
func (s *stream) flush() error {
	err := s.write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// write writes b, each run of blocks that are not zeros in one.
func (s *stream) write(b []byte) error {
	for from := 0; from < len(b); {
		to := from
		for to < len(b) && !isZero(b[to:min(to+holeSize, len(b))]) {
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

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }
