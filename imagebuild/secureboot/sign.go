package secureboot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Revision and type of the entries of a table of certificates that are
// PKCS #7 messages.
const revision, pkcs7 = 0x0200, 0x0002

// Signed is a program with a signature. It is a Content of package tree, and
// reads the program that was signed again whenever it is opened.
type Signed struct {
	program tree.Content
	kept    int64  // of the program's bytes, those of head among them
	head    []byte // in the place of its first
	tail    []byte
}

// Size is the number of bytes.
func (s *Signed) Size() int64 { return s.kept + int64(len(s.tail)) }

// Open opens the program.
func (s *Signed) Open() (io.ReadCloser, error) {
	r, err := s.program.Open()
	if err != nil {
		return nil, err
	}
	n := int64(len(s.head))
	if _, err := io.CopyN(io.Discard, r, n); err != nil {
		r.Close()
		return nil, early(err)
	}
	rest := io.LimitReader(r, s.kept-n)
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(s.head), rest, bytes.NewReader(s.tail)), r}, nil
}

// Sign signs an EFI program of size bytes. It reads the program once.
func (s *Signer) Sign(c tree.Content, size int64) (*Signed, error) {
	signed, err := s.signProgram(c, size)
	if err != nil {
		return nil, fmt.Errorf("signing an EFI program: %w", err)
	}
	return signed, nil
}

func (s *Signer) signProgram(c tree.Content, size int64) (*Signed, error) {
	p, err := examine(c, size)
	if err != nil {
		return nil, err
	}
	message, err := s.message(p.digest)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	table := p.table
	table = le.AppendUint32(table, uint32(8+len(message)))
	table = le.AppendUint16(table, revision)
	table = le.AppendUint16(table, pkcs7)
	table = append(table, message...)
	table = append(table, make([]byte, padding(int64(len(table))))...)
	out := &Signed{program: c, kept: p.frame.Offset, head: p.head}
	out.tail = append(make([]byte, padding(out.kept)), table...)
	if out.Size() > math.MaxInt32 {
		return nil, fmt.Errorf("%d bytes are more than 2 GiB", out.Size())
	}
	directory := out.head[p.frame.Directory:]
	le.PutUint32(directory, uint32(out.Size()-int64(len(table))))
	le.PutUint32(directory[4:], uint32(len(table)))
	p.sum.Write(out.tail[:len(out.tail)-len(table)])
	p.sum.Write(table)
	p.sum.Write(directory[:8]) // which is in another place, but at an even one
	le.PutUint32(out.head[p.frame.Checksum:], p.sum.Of(out.Size()))
	return out, nil
}
