package deb822

import (
	"bytes"
	"fmt"
	"io"
)

// A field is one field of a paragraph as it lies in the buffer.
type field struct {
	name, value []byte
	line        int // of the name, from 1
}

// A scanner cuts its input into paragraphs. It holds one paragraph at a time.
type scanner struct {
	r    io.Reader
	buf  []byte
	lo   int // what lies before is consumed
	hi   int // what lies behind is not filled
	line int // lines before lo
	err  error
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, bufferSize)}
}

// fill reads more input behind hi, first making room for it.
func (s *scanner) fill() error {
	if s.err != nil {
		return s.err
	}
	if s.lo > 0 {
		copy(s.buf, s.buf[s.lo:s.hi])
		s.hi -= s.lo
		s.lo = 0
	}
	if s.hi == len(s.buf) {
		if len(s.buf) >= maxParagraph {
			return &Error{s.line + 1, fmt.Errorf("the paragraph is longer than %d bytes", maxParagraph)}
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.hi:])
		s.hi += n
		s.err = err
		if n > 0 || err != nil {
			break
		}
		s.err = io.ErrNoProgress
	}
	if s.err == io.ErrNoProgress {
		return s.err
	}
	return nil
}

// next calls add for each field of the next paragraph. It returns io.EOF when
// there is none. The fields' bytes stay where they are until the next call.
func (s *scanner) next(add func(field) error) error {
	n, err := s.paragraph()
	if err != nil {
		return err
	}
	p := s.buf[s.lo : s.lo+n]
	line := s.line
	s.lo += n
	var f field
	for len(p) > 0 {
		line++
		l := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			l = p[:i+1]
		}
		p = p[len(l):]
		_ = f
	}
	s.line = line
	return add(f)
}

func (s *scanner) paragraph() (int, error) { return 0, io.EOF }
