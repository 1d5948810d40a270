package yum

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A token is a part of an XML element.
type token int

const (
	tokenEnd   token = iota // the element is at its end
	tokenOpen               // a start tag; an empty element has one and an end tag
	tokenText               // text or a CDATA section
	tokenClose              // an end tag
)

// tokens takes an element apart: the subset of XML 1.0 that documents without
// a document type definition consist of. Prefixes of names are dropped. It is
// some forty times as fast as encoding/xml, against which it is tested.
type tokens struct {
	b       []byte
	i       int
	open    [][]byte // the names of the elements that are open, with prefixes
	empty   bool     // the start tag was that of an empty element
	closing bool     // an end tag was returned last: the name is still in open
	attrs   []attribute
	raw     []byte // of the text
	isCDATA bool
	err     error // of attr and text
}

type attribute struct{ name, value []byte }

const maxAttributes = 32 // of one element

// depth is how many elements are open, with the one at hand.
func (t *tokens) depth() int { return len(t.open) }

// name is that of the element at hand; parent that of one around it, counted
// from the inside.
func (t *tokens) name() []byte        { return local(t.open[len(t.open)-1]) }
func (t *tokens) parent(n int) []byte { return local(t.open[len(t.open)-1-n]) }

func local(name []byte) []byte { return name[bytes.IndexByte(name, ':')+1:] }

// next returns the next token. Comments and instructions are passed over.
func (t *tokens) next() (token, error) {
	if t.closing {
		t.open, t.closing = t.open[:len(t.open)-1], false
		if len(t.open) == 0 {
			if t.i != len(t.b) {
				return 0, errors.New("bytes after the element's end")
			}
			return tokenEnd, nil
		}
	}
	if t.empty {
		t.empty, t.closing = false, true
		return tokenClose, nil
	}
	for {
		b := t.b[t.i:]
		switch {
		case len(b) == 0:
			return 0, errCutShort
		case b[0] != '<':
			end := bytes.IndexByte(b, '<')
			if end < 0 || len(t.open) == 0 {
				return 0, errors.New("text outside of elements")
			}
			t.raw, t.isCDATA = b[:end], false
			t.i += end
			return tokenText, nil
		case len(b) > 1 && (b[1] == '!' || b[1] == '?'):
			n, err := aside(b)
			if err != nil {
				return 0, err
			}
			if n == 0 {
				return 0, errCutShort
			}
			t.i += n
			if cdata, ok := bytes.CutPrefix(b[:n], []byte("<![CDATA[")); ok && len(t.open) > 0 {
				t.raw, t.isCDATA = cdata[:len(cdata)-len("]]>")], true
				return tokenText, nil
			}
		case len(b) > 1 && b[1] == '/':
			return tokenClose, t.endTag(b)
		default:
			return tokenOpen, t.startTag(b)
		}
	}
}

func (t *tokens) endTag(b []byte) error {
	end := bytes.IndexByte(b, '>')
	if end < 0 {
		return errCutShort
	}
	name := bytes.TrimRight(b[2:end], " \t\r\n")
	if len(t.open) == 0 || !bytes.Equal(name, t.open[len(t.open)-1]) {
		return fmt.Errorf("an end tag </%s> that fits no start tag", clip(string(name)))
	}
	t.i += end + 1
	t.closing = true
	return nil
}

func (t *tokens) startTag(b []byte) error {
	if len(t.open) == maxDepth {
		return fmt.Errorf("more than %d elements within each other", maxDepth)
	}
	i := 1 + nameLength(b[1:])
	if i == 1 {
		return errors.New("a < that begins no tag")
	}
	t.open = append(t.open, b[1:i])
	t.attrs = t.attrs[:0]
	for {
		space := i
		for i < len(b) && isSpace(b[i]) {
			i++
		}
		switch {
		case i >= len(b):
			return errCutShort
		case b[i] == '>':
			t.i += i + 1
			return nil
		case b[i] == '/':
			if i+1 >= len(b) || b[i+1] != '>' {
				return errors.New("a / within a tag")
			}
			t.i += i + 2
			t.empty = true
			return nil
		case space == i:
			return errors.New("attributes without space between them")
		}
		n, err := t.attribute(b[i:])
		if err != nil {
			return err
		}
		i += n
	}
}

// attribute reads name="value" and returns its length.
func (t *tokens) attribute(b []byte) (int, error) {
	n := nameLength(b)
	if n == 0 {
		return 0, errors.New("an attribute without a name")
	}
	name, i := local(b[:n]), n
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	if i >= len(b) || b[i] != '=' {
		return 0, errors.New("an attribute without a value")
	}
	for i++; i < len(b) && isSpace(b[i]); i++ {
	}
	if i >= len(b) || b[i] != '"' && b[i] != '\'' {
		return 0, errors.New("an attribute's value without quotes")
	}
	end := bytes.IndexByte(b[i+1:], b[i])
	if end < 0 {
		return 0, errCutShort
	}
	value := b[i+1 : i+1+end]
	if bytes.IndexByte(value, '<') >= 0 {
		return 0, errors.New("a < in an attribute's value")
	}
	if len(t.attrs) == maxAttributes {
		return 0, fmt.Errorf("more than %d attributes", maxAttributes)
	}
	for _, a := range t.attrs {
		if bytes.Equal(a.name, name) {
			return 0, fmt.Errorf("the attribute %s is there twice", clip(string(name)))
		}
	}
	t.attrs = append(t.attrs, attribute{name, value})
	return i + 1 + end + 1, nil
}

// nameLength returns the length of the name that b begins with.
func nameLength(b []byte) int {
	for i, c := range b {
		letter := isLetter(c) || c == '_' || c == ':' || c >= 0x80
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return i
		}
	}
	return len(b)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// attr returns the value of an attribute of the start tag at hand, empty where
// it has none.
func (t *tokens) attr(name string) string {
	for _, a := range t.attrs {
		if string(a.name) == name {
			return t.unescape(a.value)
		}
	}
	return ""
}

// text returns the text at hand.
func (t *tokens) text() string {
	if t.isCDATA {
		return t.checked(string(t.raw))
	}
	return t.unescape(t.raw)
}

// unescape replaces references, of which there are five by name and those by
// number: no others can be without a document type definition.
func (t *tokens) unescape(b []byte) string {
	if bytes.IndexByte(b, '&') < 0 {
		return t.checked(string(b))
	}
	var out strings.Builder
	s := string(b)
	for {
		before, after, found := strings.Cut(s, "&")
		out.WriteString(before)
		if !found {
			return t.checked(out.String())
		}
		ref, rest, ended := strings.Cut(after, ";")
		value, ok := reference(ref)
		if !ended || !ok {
			t.fail(fmt.Errorf("&%s is no reference that is known", clip(ref)))
			return ""
		}
		out.WriteString(value)
		s = rest
	}
}

func reference(ref string) (string, bool) {
	switch ref {
	case "amp":
		return "&", true
	case "lt":
		return "<", true
	case "gt":
		return ">", true
	case "quot":
		return `"`, true
	case "apos":
		return "'", true
	}
	digits, ok := strings.CutPrefix(ref, "#")
	base := 10
	if hex, is := strings.CutPrefix(digits, "x"); is {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return string(rune(n)), ok && err == nil && n > 0 && utf8.ValidRune(rune(n))
}

// checked refuses what is not text.
func (t *tokens) checked(s string) string {
	if !utf8.ValidString(s) {
		t.fail(errors.New("text that is not UTF-8"))
		return ""
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && !isSpace(c) {
			t.fail(fmt.Errorf("the character %q in text", c))
			return ""
		}
	}
	return s
}

func (t *tokens) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}
