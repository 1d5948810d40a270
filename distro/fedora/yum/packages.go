package yum

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits on an index.
const (
	windowSize = 1 << 20  // bytes that are read at once
	maxElement = 64 << 20 // bytes of one package's element
)

// eachPackage calls each for every <package> of a metadata file whose name may
// be wanted, with the bytes of the whole element, valid only during the call.
// It finds the elements' ends without taking them apart: only by the "<" in
// them, which in XML stands nowhere but at the beginning of a tag, a comment,
// a CDATA section or an instruction.
func eachPackage(r io.Reader, want func(name string) bool, each func(element []byte) error) error {
	w := &window{r: r, buf: make([]byte, windowSize)}
	empty, err := w.openRoot()
	if err != nil {
		return err
	}
	if empty {
		return w.atEnd()
	}
	for {
		next, err := w.skipToTag()
		if err != nil {
			return err
		}
		switch {
		case isTag(next, "</metadata"):
			return w.closeRoot()
		case !isTag(next, "<package"):
			return fmt.Errorf("%q where a package is due", clip(string(next)))
		}
		s := elementScan{want: want}
		for !s.scan(w.rest()) {
			if s.err != nil {
				return s.err
			}
			if err := w.more(); err != nil {
				return err
			}
		}
		if s.wanted {
			if err := each(w.rest()[:s.at]); err != nil {
				return err
			}
		}
		w.skip(s.at)
	}
}

// isTag reports whether b begins with a tag, which begin is without its end.
func isTag(b []byte, begin string) bool {
	return len(b) > len(begin) && string(b[:len(begin)]) == begin && isTagBreak(b[len(begin)])
}

func isTagBreak(c byte) bool { return c == '>' || c == '/' || isSpace(c) }

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// An elementScan looks for the end of a <package>.
type elementScan struct {
	want   func(name string) bool
	at     int // all before it is known
	wanted bool
	err    error
}

// lookahead is how much is needed to tell tags apart.
const lookahead = len("</package") + 1

// scan looks through b, which begins with the element, and reports whether it
// is all there; then s.at is where it ends. Else it is to be called again with
// a longer b, if s.err is nil.
func (s *elementScan) scan(b []byte) bool {
	if s.at == 0 {
		n := tagEnd(b)
		if n == 0 {
			return false
		}
		s.at = n
		if b[n-2] == '/' {
			return true // an empty element
		}
	}
	for {
		i := bytes.IndexByte(b[s.at:], '<')
		if i < 0 {
			s.at = len(b)
			return false
		}
		s.at += i
		tag := b[s.at:]
		if len(tag) <= lookahead {
			return false
		}
		switch tag[1] {
		case '/':
			if isTag(tag, "</package") {
				end := bytes.IndexByte(tag, '>')
				if end >= 0 {
					s.at += end + 1
				}
				return end >= 0
			}
			s.at += 2
		case 'n':
			if isTag(tag, "<name") && !s.look(tag) {
				return false
			}
			s.at += 2
		case 'p':
			if isTag(tag, "<package") {
				s.err = errors.New("a package within a package")
				return false
			}
			s.at += 2
		case '!', '?':
			n, err := aside(tag)
			s.err = err
			if n == 0 || err != nil {
				return false
			}
			s.at += n
		default:
			s.at++
		}
	}
}

// look decides by a <name> whether the element is wanted, and reports whether
// the name is all there. Whether it is the package's name, and not that of
// something within it, is not known here: any that is wanted will do. One that
// is not plain text is for the parser to read.
func (s *elementScan) look(tag []byte) bool {
	text := tag[len("<name"):]
	end := bytes.IndexByte(text[1:], '<') + 1
	if end == 0 || len(text) < end+len("</name>") {
		return false
	}
	if text[0] != '>' || !bytes.HasPrefix(text[end:], []byte("</name>")) || bytes.IndexByte(text[:end], '&') >= 0 {
		s.wanted = true
		return true
	}
	s.wanted = s.wanted || s.want(string(bytes.TrimSpace(text[1:end])))
	return true
}

// aside returns the length of the comment, CDATA section or instruction that b
// begins with, 0 where its end has not come.
func aside(b []byte) (int, error) {
	for _, a := range []struct{ begin, end string }{{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}} {
		if bytes.HasPrefix(b, []byte(a.begin)) {
			i := bytes.Index(b[len(a.begin):], []byte(a.end))
			if i < 0 {
				return 0, nil
			}
			return len(a.begin) + i + len(a.end), nil
		}
	}
	return 0, errDoctype
}

// A window is the part of a file that is looked at. It grows as far as one
// element needs.
type window struct {
	r        io.Reader
	buf      []byte
	from, to int // what has been read and not been skipped
	err      error
}

func (w *window) rest() []byte { return w.buf[w.from:w.to] }

func (w *window) skip(n int) { w.from += n }

var errCutShort = errors.New("it ends too early")

// more reads on; that nothing is left to read is an error.
func (w *window) more() error {
	if w.err != nil {
		if w.err == io.EOF {
			return errCutShort
		}
		return w.err
	}
	if w.from > 0 {
		w.to = copy(w.buf, w.rest())
		w.from = 0
	}
	if w.to == len(w.buf) {
		if len(w.buf) >= maxElement {
			return fmt.Errorf("an element of more than %d bytes", maxElement)
		}
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	n, err := io.ReadAtLeast(w.r, w.buf[w.to:], 1)
	w.to += n
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	w.err = err
	return nil
}

// skipToTag skips white space, comments and instructions, and returns what
// follows: a tag and as much of what is behind it as there is.
func (w *window) skipToTag() ([]byte, error) {
	for {
		b := w.rest()
		i := 0
		for i < len(b) && isSpace(b[i]) {
			i++
		}
		w.skip(i)
		switch b = b[i:]; {
		case len(b) <= len("</metadata") && w.err == nil:
		case len(b) < 2 || b[0] != '<':
			if len(b) == 0 {
				return nil, w.more()
			}
			return nil, fmt.Errorf("text %q where a package is due", clip(string(b)))
		case b[1] == '!' || b[1] == '?':
			n, err := aside(b)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				w.skip(n)
				continue
			}
		default:
			return b, nil
		}
		if err := w.more(); err != nil {
			return nil, err
		}
	}
}

// openRoot skips the start tag of the root, which must be <metadata>, and
// reports whether that is all of it.
func (w *window) openRoot() (empty bool, err error) {
	for len(w.rest()) < 3 && w.err == nil {
		if err := w.more(); err != nil {
			return false, err
		}
	}
	if bytes.HasPrefix(w.rest(), []byte("\xef\xbb\xbf")) {
		w.skip(3)
	}
	b, err := w.skipToTag()
	if err != nil {
		return false, err
	}
	if !isTag(b, "<metadata") {
		return false, fmt.Errorf("%q where <metadata> is due", clip(string(b)))
	}
	for {
		b = w.rest()
		if n := tagEnd(b); n > 0 {
			w.skip(n)
			return b[n-2] == '/', nil
		}
		if err := w.more(); err != nil {
			return false, err
		}
	}
}

// tagEnd returns the length of the tag that b begins with, 0 where its end has
// not come. A ">" in an attribute's value is not the end.
func tagEnd(b []byte) int {
	quote := byte(0)
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return 0
}

// closeRoot skips the root's end tag and wants nothing of meaning to follow.
func (w *window) closeRoot() error {
	for {
		b := w.rest()
		if end := bytes.IndexByte(b, '>'); end >= 0 {
			if len(bytes.TrimSpace(b[len("</metadata"):end])) > 0 {
				return fmt.Errorf("%q is not an end", clip(string(b)))
			}
			w.skip(end + 1)
			return w.atEnd()
		}
		if err := w.more(); err != nil {
			return err
		}
	}
}

// atEnd wants nothing of meaning to follow.
func (w *window) atEnd() error {
	b, err := w.skipToTag()
	switch {
	case err == errCutShort && len(w.rest()) == 0:
		return nil
	case err == nil:
		err = fmt.Errorf("%q after the end", clip(string(b)))
	}
	return err
}
