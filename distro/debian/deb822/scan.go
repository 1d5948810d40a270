package deb822

import (
	"bytes"
	"fmt"
	"io"
)

// Limits on what is read. Real paragraphs stay far below: the longest are
// Release files of some 5,000 lines.
const (
	maxLine      = 1 << 20
	maxParagraph = 16 << 20
	bufferSize   = 256 << 10
)

// An Error says where a file cannot be read, and why.
type Error struct {
	Line int // from 1
	Err  error
}

// Error has the form "line N: reason".
func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Scan reads paragraphs and calls fn for each with the values of the wanted
// fields, in the order of fields; nil stands for a field that is absent. Names
// match in any case, and where one is there twice the first counts. White
// space around a value is dropped; the lines of a value that goes on keep
// their line ends and leading space. Comments have no place in such files.
// The bytes are valid only until fn returns. An error of fn ends the scan and
// is returned as it is; what is wrong with the data is an [*Error].
func Scan(r io.Reader, fields []string, fn func(values [][]byte) error) error {
	s := newScanner(r)
	match := matcher(fields)
	values := make([][]byte, len(fields))
	for {
		n, err := s.next(match)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		clear(values)
		for _, sp := range s.spans {
			if values[sp.want] == nil {
				values[sp.want] = s.value(sp)
			}
		}
		if err := fn(values); err != nil {
			return err
		}
		s.skip(n)
	}
}

// matcher returns a function that gives the position of a name in names, or
// -1. It looks at the first byte alone for most fields that are not wanted.
func matcher(names []string) func([]byte) int {
	var first [256]bool
	for _, n := range names {
		if n != "" {
			first[n[0]|0x20] = true
			first[n[0]&^0x20] = true
		}
	}
	return func(name []byte) int {
		if !first[name[0]] {
			return -1
		}
		for i, n := range names {
			if len(n) == len(name) && bytes.EqualFold(name, []byte(n)) {
				return i
			}
		}
		return -1
	}
}

// trim drops the white space around b. It never returns nil.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func blank(line []byte) bool { return len(trim(line)) == 0 }
