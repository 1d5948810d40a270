package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Digest is the SHA-256 of a content; all zero where it is not known.
type Digest [sha256.Size]byte

// String is the digest in lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

var emptyDigest = Digest(sha256.Sum256(nil))

// ErrNoContent says that a tree knows a content's digest only.
var ErrNoContent = errors.New("the content is not at hand, only its digest")

// Content is the bytes of a regular file, opened when they are wanted. Open may
// be called any number of times and concurrently, and gives the same bytes each
// time. What it returns may also be an [io.ReaderAt] or an [io.Seeker]; a
// writer that wants to read at random asks for that and does without otherwise.
type Content interface {
	Open() (io.ReadCloser, error)
}

// Extent is a run of bytes of a file.
type Extent struct{ Offset, Length int64 }

// Sparse is a [Content] that knows its holes. Extents are ascending, do not
// overlap and are not empty; every byte outside of them is zero (those inside
// may be). It is a hint that saves work: what a writer writes must not depend on
// where the extents are, since two sources of one file may tell them
// differently.
type Sparse interface {
	Content
	Extents() []Extent
}

// Bytes is a content in memory. b must not be changed afterwards.
func Bytes(b []byte) Content { return memory(b) }

type memory []byte

// memoryReader is a reader, a reader at random and a seeker.
type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }

func (m memory) Open() (io.ReadCloser, error) { return memoryReader{bytes.NewReader(m)}, nil }

// Section is a content that is a part of something that can be read at random,
// such as a spooled file or a blob: length bytes from offset.
func Section(r io.ReaderAt, offset, length int64) Content { return &section{r, offset, length} }

type section struct {
	r              io.ReaderAt
	offset, length int64
}

type sectionReader struct{ *io.SectionReader }

func (sectionReader) Close() error { return nil }

func (s *section) Open() (io.ReadCloser, error) {
	return sectionReader{io.NewSectionReader(s.r, s.offset, s.length)}, nil
}

// checked reads a content, and fails where it is not the one that was frozen.
type checked struct {
	io.ReadCloser
	path string
	want *Inode
	hash hash.Hash
	read int64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.hash.Write(p[:n])
	if c.read += int64(n); c.read > c.want.Size {
		return 0, &PathError{c.path, fmt.Errorf("the content changed: it has more than the %d bytes it had", c.want.Size)}
	}
	switch {
	case err == nil:
	case err != io.EOF:
		err = &PathError{c.path, err}
	case c.read < c.want.Size:
		err = &PathError{c.path, fmt.Errorf("the content changed: it has %d bytes and not the %d it had", c.read, c.want.Size)}
	case Digest(c.hash.Sum(nil)) != c.want.Digest:
		err = &PathError{c.path, fmt.Errorf("the content changed: its SHA-256 is %x and not %s", c.hash.Sum(nil), c.want.Digest)}
	}
	return n, err
}

// open is the content of an inode, checked while it is read.
func (n *Inode) open(path string) (io.ReadCloser, error) {
	if !n.Mode.IsRegular() {
		return nil, &PathError{path, fmt.Errorf("a %s has no content", n.Mode.TypeName())}
	}
	content := n.Content
	if content == nil {
		if n.Size > 0 {
			return nil, &PathError{path, ErrNoContent}
		}
		content = memory(nil)
	}
	r, err := content.Open()
	if err != nil {
		return nil, &PathError{path, err}
	}
	return &checked{r, path, n, sha256.New(), 0}, nil
}

// settle finds out size and digest of an inode that does not know them.
func (n *Inode) settle(ctx context.Context, path string) error {
	r, err := n.Content.Open()
	if err != nil {
		return &PathError{path, err}
	}
	defer r.Close()
	h := sha256.New()
	size, err := io.Copy(h, &interruptible{ctx, r})
	if err != nil {
		return &PathError{path, err}
	}
	if n.Size != Unknown && n.Size != size {
		return &PathError{path, fmt.Errorf("the content has %d bytes and not the %d that were told", size, n.Size)}
	}
	n.Size, n.Digest = size, Digest(h.Sum(nil))
	return nil
}

// interruptible ends a long reading when the context does.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
