package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// MaxSize is the most bytes that a spec may have.
const MaxSize = 4 << 20

// An Error says where in a spec something is wrong.
type Error struct {
	File         string
	Line, Column int // 0 where they are not known
	Message      string
}

// Error gives the position in the form "file:line:column: message".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Parse reads a spec; name is what errors call it. Errors are an [*Error].
func Parse(name string, data []byte) (*Spec, error) {
	if len(data) > MaxSize {
		return nil, &Error{File: name, Message: fmt.Sprintf("it has more than %d bytes", MaxSize)}
	}
	s := &Spec{}
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	err := decode(d, s)
	if errors.Is(err, io.EOF) {
		return nil, &Error{File: name, Message: "it is empty; it begins with \"version: 1\""}
	}
	if err == nil && !errors.Is(decode(d, &Spec{}), io.EOF) {
		err = errors.New("it has more than one YAML document")
	}
	if err != nil {
		return nil, positioned(name, err)
	}
	if path, err := s.check(); err != nil {
		line, column := locate(data, path)
		return nil, &Error{name, line, column, err.Error()}
	}
	return s, nil
}

// decode is d.Decode, which ends in a panic for some wrong uses of tags.
func decode(d *yaml.Decoder, to any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it cannot be read as YAML")
		}
	}()
	return d.Decode(to)
}

func positioned(name string, err error) error {
	var theirs yaml.Error
	if errors.As(err, &theirs) && theirs.GetToken() != nil {
		at := theirs.GetToken().Position
		return &Error{name, at.Line, at.Column, theirs.GetMessage()}
	}
	return &Error{File: name, Message: err.Error()}
}

// locate finds where the value at a path such as "$.files[2].mode" stands, or
// the nearest above it that is there.
func locate(data []byte, path string) (line, column int) {
	for ; path != ""; path = parentOf(path) {
		p, err := yaml.PathString(path)
		if err != nil {
			continue
		}
		node, err := p.ReadNode(bytes.NewReader(data))
		if err != nil || node == nil || node.GetToken() == nil {
			continue
		}
		at := node.GetToken().Position
		if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
			at = m.Values[0].Key.GetToken().Position
		}
		return at.Line, at.Column
	}
	return 0, 0
}

func parentOf(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

// UnmarshalYAML reads "0644", 0644 or 0o644: always octal, whatever YAML says
// of such numbers.
func (m *Mode) UnmarshalYAML(node ast.Node) error {
	text := node.GetToken().Value
	bits, err := strconv.ParseUint(text, 8, 32)
	if len(text) > 2 && text[:2] == "0o" {
		bits, err = strconv.ParseUint(text[2:], 8, 32)
	}
	if err != nil || bits > 0o7777 {
		return &yaml.SyntaxError{Message: fmt.Sprintf("%q is no mode; one is written as 0644", text), Token: node.GetToken()}
	}
	*m = Mode{uint32(bits), true}
	return nil
}

// UnmarshalYAML reads a time of RFC 3339, or seconds since 1970.
func (t *Time) UnmarshalYAML(node ast.Node) error {
	text := node.GetToken().Value
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		t.Time = time.Unix(seconds, 0).UTC()
	} else if t.Time, err = time.Parse(time.RFC3339, text); err != nil {
		return &yaml.SyntaxError{Message: fmt.Sprintf("%q is no time; one is written as 2026-11-15T09:12:33Z", text), Token: node.GetToken()}
	}
	t.Time = t.UTC()
	if t.Unix() < 0 || t.Unix() >= 1<<34 {
		return &yaml.SyntaxError{Message: fmt.Sprintf("%s is not between 1970 and 2514", text), Token: node.GetToken()}
	}
	return nil
}
