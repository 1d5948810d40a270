package secureboot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/uki"
)

const (
	maxHead  = 64 << 10 // of which headers are a part
	maxTable = 1 << 20  // of certificates
)

// A program is one that was read for its signatures.
type program struct {
	frame  uki.Frame
	head   []byte // up to the end of the last field that a signature sets
	digest [sha256.Size]byte
	table  []byte  // of certificates
	sum    uki.Sum // of what is signed
}

// examine reads a program of size bytes once.
func examine(c tree.Content, size int64) (*program, error) {
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head := make([]byte, min(size, maxHead))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	image, err := uki.Read(bytes.NewReader(head), size)
	if err != nil {
		return nil, err
	}
	p := &program{}
	if p.frame, err = image.Frame(); err != nil {
		return nil, err
	}
	if p.frame.Length > maxTable {
		return nil, fmt.Errorf("its certificates have %d bytes; at most %d are taken", p.frame.Length, maxTable)
	}
	p.head = head[:p.frame.Directory+8]
	return p, p.read(io.MultiReader(bytes.NewReader(head), r))
}

// read hashes what a signature is over, which is filled up to a multiple of 8
// bytes, and keeps the rest.
func (p *program) read(r io.Reader) error {
	hash := sha256.New()
	at := int64(0)
	for _, part := range []struct{ end, skip int64 }{{p.frame.Checksum, 4}, {p.frame.Directory, 8}, {p.frame.Offset, 0}} {
		if part.end < at {
			return errors.New("the fields of its headers overlap")
		}
		if _, err := io.CopyN(io.MultiWriter(hash, &p.sum), r, part.end-at); err != nil {
			return early(err)
		}
		if _, err := io.CopyN(io.Discard, r, part.skip); err != nil {
			return early(err)
		}
		at = part.end + part.skip
	}
	hash.Write(make([]byte, padding(p.frame.Offset)))
	hash.Sum(p.digest[:0])
	p.table = make([]byte, p.frame.Length)
	if _, err := io.ReadFull(r, p.table); err != nil {
		return early(err)
	}
	return nil
}

func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// padding is how many bytes lack to a multiple of 8.
func padding(n int64) int64 { return -n & 7 }
