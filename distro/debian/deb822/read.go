package deb822

import (
	"io"
	"strings"
)

// A Paragraph is one paragraph with all its fields in the file's order.
type Paragraph struct {
	Fields []Field
	Line   int // where it begins, from 1
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
// there.
func (p Paragraph) Lookup(name string) (string, bool) {
	for _, f := range p.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// Read reads all paragraphs of a small file.
func Read(r io.Reader) ([]Paragraph, error) {
	s := newScanner(r)
	var out []Paragraph
	for {
		var p Paragraph
		err := s.next(func(f field) error {
			p.Fields = append(p.Fields, Field{string(f.name), string(f.value), f.line})
			return nil
		})
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		p.Line = p.Fields[0].Line
		out = append(out, p)
	}
}
