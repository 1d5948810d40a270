package disk

import (
	"bytes"
	"io"

	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/tree"
)

// A Program is what EFI firmware starts.
type Program interface {
	tree.Content
	Size() int64 // in bytes
}

// signing signs programs, or leaves them as they are.
type signing struct{ signer *secureboot.Signer }

func (s signing) program(p Program) (Program, error) {
	if s.signer == nil {
		return p, nil
	}
	return s.signer.Sign(p, p.Size())
}

// section is the same of what is in memory.
func (s signing) section(r *io.SectionReader) (*io.SectionReader, error) {
	if s.signer == nil {
		return r, nil
	}
	signed, err := s.signer.Sign(tree.Section(r, 0, r.Size()), r.Size())
	if err != nil {
		return nil, err
	}
	in, err := signed.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(in)
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), err
}
