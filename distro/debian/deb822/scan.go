package deb822

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits on what is read. Real paragraphs stay far below: the longest known
// are Release files with some 5,000 lines in one field (1 MiB).
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
// match in any case. White space around a value is dropped, the lines of a
// value that goes on keep their line ends and leading space. The bytes are
// valid only until fn returns. An error of fn ends the scan and is returned as
// it is; what is wrong with the data is an [*Error].
func Scan(r io.Reader, fields []string, fn func(values [][]byte) error) error {
	s := newScanner(r)
	w := newWanted(fields)
	for {
		if err := s.next(w.add); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := fn(w.values); err != nil {
			return err
		}
		clear(w.values)
	}
}

// wanted collects the values of some fields by position.
type wanted struct {
	names  []string
	first  [256]bool // either case of the first bytes of names
	values [][]byte
}

func newWanted(names []string) *wanted {
	w := &wanted{names: names, values: make([][]byte, len(names))}
	for _, n := range names {
		if n != "" {
			w.first[lower(n[0])] = true
			w.first[upper(n[0])] = true
		}
	}
	return w
}

// add notes a field of the current paragraph. What comes first counts.
func (w *wanted) add(f field) error {
	if !w.first[f.name[0]] {
		return nil
	}
	for i, n := range w.names {
		if len(n) == len(f.name) && equalFold(f.name, n) {
			if w.values[i] == nil {
				w.values[i] = f.value
			}
		}
	}
	return nil
}

var errStray = errors.New("neither a field nor the continuation of one")

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

func equalFold(b []byte, s string) bool {
	for i := range b {
		if b[i] != s[i] && lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// trim drops the blanks and carriage returns around b, and yields a non-nil
// slice for an empty value.
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

func blank(line []byte) bool { return len(bytes.TrimLeft(line, " \t\r\n")) == 0 }
