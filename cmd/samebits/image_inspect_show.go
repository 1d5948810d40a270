package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/samebits/samebits/imagebuild/inspect"
)

// shown is what --json prints of a part.
type shown struct {
	Name       string          `json:"name,omitempty"`
	Number     int             `json:"number,omitempty"` // of a partition
	Format     string          `json:"format"`
	Size       *int64          `json:"size,omitempty"` // bytes
	SHA256     string          `json:"sha256,omitempty"`
	Attributes shownAttributes `json:"attributes,omitempty"`
	Files      *shownFiles     `json:"files,omitempty"`
	Problem    string          `json:"problem,omitempty"`
	Parts      []*shown        `json:"parts,omitempty"`

	problem error
}

// shownFiles sums up the files of a part.
type shownFiles struct {
	Entries int    `json:"entries"`
	Size    int64  `json:"size"`     // bytes of all contents
	SHA256  string `json:"manifest"` // the digest of the list of all files
}

// shownAttributes are an object in JSON, in their order.
type shownAttributes []inspect.Attribute

// MarshalJSON implements [json.Marshaler].
func (a shownAttributes) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, one := range a {
		b.WriteByte("{,"[min(i, 1)])
		name, err := json.Marshal(one.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(one.Value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	if len(a) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// showImage tells what a part is, and all that is in it. The error is the first
// thing that is wrong with it.
func (s *session) showImage(name string, part *inspect.Part) error {
	out, err := s.shownOf(part)
	if err != nil {
		return err
	}
	if s.Bool("json") {
		err = s.writeJSON(out)
	} else {
		var b strings.Builder
		if part.Label() == "" {
			out.text(&b, name, "")
		} else {
			out.text(&b, out.title(), "")
		}
		err = s.writeOutput("-", []byte(printable(b.String())))
	}
	if err != nil {
		return err
	}
	if out.problem != nil {
		return out.problem
	}
	return out.fault()
}

// fault is what is wrong with the first part inside that cannot be read, nil where
// there is none. What is only not looked into, since it is encrypted, say, is none.
func (p *shown) fault() error {
	for _, q := range p.Parts {
		err := q.problem
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			err = q.fault()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", q.title(), err)
		}
	}
	return nil
}

func (s *session) shownOf(p *inspect.Part) (*shown, error) {
	out := &shown{Name: p.Name, Number: p.Number, Format: p.Format}
	problem := p.Problem
	if p.HasBytes() {
		d, err := p.Digest(s.ctx)
		if err != nil {
			problem = cmp.Or(problem, err)
		} else {
			out.SHA256 = d.String()
		}
	}
	if p.Size >= 0 {
		out.Size = &p.Size
	}
	if p.HasTree() {
		t, err := p.Tree(s.ctx)
		if err != nil {
			problem = cmp.Or(problem, err)
		} else {
			out.Files = &shownFiles{t.Len(), t.ContentSize(), t.Digest().String()}
		}
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if problem != nil {
		out.Problem, out.problem = problem.Error(), problem
	}
	out.Attributes = p.Attributes // reading the tree may have added some
	for _, q := range p.Parts {
		inner, err := s.shownOf(q)
		if err != nil {
			return nil, err
		}
		out.Parts = append(out.Parts, inner)
	}
	return out, nil
}

// title is what a part inside of another is called.
func (p *shown) title() string {
	switch {
	case p.Number > 0 && p.Name != "":
		return fmt.Sprintf("%d %s", p.Number, oneLine(p.Name))
	case p.Number > 0:
		return strconv.Itoa(p.Number)
	}
	return oneLine(p.Name)
}

// oneLine keeps a name from an image from looking like lines of ours.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "\\n") }

// text writes the part as an indented list.
func (p *shown) text(b *strings.Builder, title, indent string) {
	fmt.Fprintf(b, "%s%s: %s", indent, title, p.Format)
	if p.Size != nil {
		b.WriteString(", " + size(*p.Size))
		if *p.Size >= 1000 {
			fmt.Fprintf(b, " (%d bytes)", *p.Size)
		}
	}
	if len(p.Attributes) == 0 && p.Files == nil && p.Problem == "" && len(p.Parts) == 0 && p.SHA256 != "" {
		fmt.Fprintf(b, ", sha256 %s\n", p.SHA256)
		return
	}
	b.WriteByte('\n')
	indent += "  "
	line := func(name, value string) {
		value = strings.ReplaceAll(value, "\n", "\n"+indent+"  ")
		fmt.Fprintf(b, "%s%s: %s\n", indent, strings.ReplaceAll(name, "_", " "), value)
	}
	if p.SHA256 != "" {
		line("sha256", p.SHA256)
	}
	for _, a := range p.Attributes {
		line(a.Name, attributeText(a.Value))
	}
	if f := p.Files; f != nil {
		line("files", fmt.Sprintf("%d, with contents of %s", f.Entries, size(f.Size)))
		line("manifest", f.SHA256)
	}
	if p.Problem != "" {
		line("not read", p.Problem)
	}
	for _, q := range p.Parts {
		q.text(b, q.title(), indent)
	}
}

// attributeText is a value as people read it: lists of words in a line, others in
// several.
func attributeText(value any) string {
	switch v := value.(type) {
	case []string:
		text := strings.Join(v, " ")
		if len(v) > 1 && strings.Count(text, " ") >= len(v) {
			return "\n" + strings.Join(v, "\n")
		}
		return text
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	}
	return fmt.Sprint(value)
}
