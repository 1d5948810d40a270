package deb822

import (
	"bytes"
	"io"
	"strings"
)

// A Paragraph is one paragraph with all its fields in the file's order.
type Paragraph struct {
	Fields []Field
	Line   int // where its first field is, from 1
}

// A Field is one field of a paragraph. Value is as [Scan] gives it.
type Field struct {
	Name, Value string
	Line        int // of the name, from 1
}

// Get returns the value of the named field, in any case, or "".
func (p Paragraph) Get(name string) string {
	v, _ := p.Lookup(name)
	return v
}

// Lookup returns the value of the named field, in any case, and whether it is
// there. Where it is there twice, the first counts.
func (p Paragraph) Lookup(name string) (string, bool) {
	for _, f := range p.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// Read reads all paragraphs of a small file. Lines that begin with "#" are
// comments, also within a value.
func Read(r io.Reader) ([]Paragraph, error) {
	s := newScanner(r)
	s.comments = true
	var out []Paragraph
	for {
		n, err := s.next(func([]byte) int { return 0 })
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		p := Paragraph{Line: s.spans[0].line}
		for _, sp := range s.spans {
			name := s.buf[s.lo+sp.start:][:sp.name]
			value := trim(dropComments(s.value(sp)))
			p.Fields = append(p.Fields, Field{string(name), string(value), sp.line})
		}
		out = append(out, p)
		s.skip(n)
	}
}

// dropComments removes the lines that begin with "#", but for the first,
// which is the rest of the line with the field's name.
func dropComments(value []byte) []byte {
	if !bytes.Contains(value, []byte("\n#")) {
		return value
	}
	var out []byte
	for i, l := range bytes.SplitAfter(value, []byte("\n")) {
		if i == 0 || !bytes.HasPrefix(l, []byte("#")) {
			out = append(out, l...)
		}
	}
	return out
}
