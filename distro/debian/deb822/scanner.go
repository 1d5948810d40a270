package deb822

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A span is a wanted field of the current paragraph, by offsets from its
// first byte, since the buffer may move while the paragraph is read.
type span struct {
	want     int // what match returned
	name     int // length of the name, whose first byte is at start
	start    int
	from, to int // the value, untrimmed
	line     int // of the name, from 1
}

// A scanner cuts its input into paragraphs. It holds one paragraph at a time.
type scanner struct {
	r        io.Reader
	comments bool // drop lines that begin with "#"
	buf      []byte
	lo       int // where the current paragraph begins
	hi       int // what lies behind is not filled
	line     int // lines read so far
	err      error
	spans    []span
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, bufferSize)}
}

// next reads a paragraph and notes in spans the fields for which match does
// not return a negative number. It returns how long the paragraph is, and
// io.EOF when there is none. The caller passes over it with skip.
func (s *scanner) next(match func(name []byte) int) (int, error) {
	s.spans = s.spans[:0]
	pos, fields, open := 0, 0, -1
	for {
		n, err := s.lineLen(pos)
		if err != nil {
			return 0, err
		}
		if n == 0 && fields == 0 {
			return 0, io.EOF
		}
		if n == 0 {
			return pos, nil
		}
		l := s.buf[s.lo+pos : s.lo+pos+n]
		s.line++
		switch c := l[0]; {
		case c == '\n' || c == '\r' && len(bytes.TrimRight(l, "\r\n")) == 0:
			if fields > 0 {
				return pos + n, nil
			}
			s.lo += pos + n
			pos = 0
			continue
		case c == '#' && s.comments:
		case c == ' ' || c == '\t':
			if fields == 0 {
				if s.comments && blank(l) {
					break // apt lets blanks stand between paragraphs
				}
				return 0, &Error{s.line, errors.New("a continuation line without a field before it")}
			}
			if open >= 0 {
				s.spans[open].to = pos + n
			}
		default:
			colon := bytes.IndexByte(l, ':')
			if colon <= 0 {
				return 0, &Error{s.line, errors.New("neither a field nor the continuation of one")}
			}
			fields++
			open = -1
			if w := match(l[:colon]); w >= 0 {
				open = len(s.spans)
				s.spans = append(s.spans, span{w, colon, pos, pos + colon + 1, pos + n, s.line})
			}
		}
		pos += n
	}
}

// value returns the bytes of a noted field, trimmed and never nil.
func (s *scanner) value(sp span) []byte {
	v := trim(s.buf[s.lo+sp.from : s.lo+sp.to])
	return v[:len(v):len(v)]
}

// skip passes over the n bytes of a paragraph.
func (s *scanner) skip(n int) { s.lo += n }

// lineLen returns the length of the line at pos, its end included; 0 at the
// end of the input.
func (s *scanner) lineLen(pos int) (int, error) {
	seen := 0
	for {
		p := s.buf[s.lo+pos+seen : s.hi]
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			return seen + i + 1, nil
		}
		seen += len(p)
		if seen > maxLine {
			return 0, &Error{s.line + 1, fmt.Errorf("the line is longer than %d bytes", maxLine)}
		}
		if s.err == io.EOF {
			return seen, nil
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
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
		if err == io.EOF || err == nil && n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
