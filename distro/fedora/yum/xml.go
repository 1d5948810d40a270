package yum

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Limits on the small XML files. Fedora's metalinks have 40 KiB, its
// repomd.xml 10.
const (
	maxSmall = 8 << 20 // bytes
	maxDepth = 64      // elements within elements
)

var errDoctype = errors.New("a document type definition, which has no place here")

// decodeSmall reads a whole XML file into v. Directives (with which entities
// are made) and elements that lie too deep are errors.
func decodeSmall(r io.Reader, v any) error {
	l := &io.LimitedReader{R: r, N: maxSmall + 1}
	d := xml.NewTokenDecoder(&watched{decoder: xml.NewDecoder(l)})
	err := d.Decode(v)
	if err == nil {
		err = onlySpace(d)
	}
	if l.N == 0 {
		return fmt.Errorf("it is longer than %d bytes", maxSmall)
	}
	return err
}

// onlySpace wants nothing of meaning to follow.
func onlySpace(d *xml.Decoder) error {
	for {
		token, err := d.Token()
		switch t := token.(type) {
		case nil:
			if err == io.EOF {
				return nil
			}
			return err
		case xml.StartElement:
			return fmt.Errorf("an element <%s> follows the end", clip(t.Name.Local))
		}
	}
}

// watched hands on tokens that are harmless.
type watched struct {
	decoder *xml.Decoder
	depth   int
}

// Token implements [xml.TokenReader].
func (w *watched) Token() (xml.Token, error) {
	t, err := w.decoder.RawToken()
	switch t.(type) {
	case xml.Directive:
		return nil, errDoctype
	case xml.StartElement:
		if w.depth++; w.depth > maxDepth {
			return nil, fmt.Errorf("more than %d elements within each other", maxDepth)
		}
	case xml.EndElement:
		w.depth--
	}
	return t, err
}
