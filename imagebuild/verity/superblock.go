package verity

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	magic          = "verity\x00\x00"
	superblockSize = 512
	algorithm      = "sha256"
)

var zeros [BlockSize]byte

func isZero(block []byte) bool { return bytes.Equal(block, zeros[:]) }

// superblock writes the first block.
func (b *builder) superblock(o Options, blocks int64) error {
	le := binary.LittleEndian
	s := make([]byte, BlockSize)
	copy(s, magic)
	le.PutUint32(s[8:], 1)  // version
	le.PutUint32(s[12:], 1) // of the format
	copy(s[16:], o.UUID[:])
	copy(s[32:], algorithm)
	le.PutUint32(s[64:], BlockSize)
	le.PutUint32(s[68:], BlockSize)
	le.PutUint64(s[72:], uint64(blocks))
	le.PutUint16(s[80:], uint16(len(o.Salt)))
	copy(s[88:], o.Salt)
	_, err := b.w.WriteAt(s, 0)
	return err
}

// Superblock is what a tree says of itself.
type Superblock struct {
	Options
	DataSize int64 // bytes that the tree has hashes of
}

// Read reads the superblock of a tree. Other formats, hashes and sizes of blocks
// than those that Write writes are errors.
func Read(r io.ReaderAt) (*Superblock, error) {
	s := make([]byte, superblockSize)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, superblockSize), s); err != nil {
		return nil, fmt.Errorf("reading a verity superblock: %w", err)
	}
	le := binary.LittleEndian
	name, _, _ := bytes.Cut(s[32:64], []byte{0})
	salt := le.Uint16(s[80:])
	blocks := le.Uint64(s[72:])
	var err error
	switch {
	case string(s[:8]) != magic:
		err = errors.New("there is none")
	case le.Uint32(s[8:]) != 1 || le.Uint32(s[12:]) != 1:
		err = fmt.Errorf("version %d of format %d is not known", le.Uint32(s[8:]), le.Uint32(s[12:]))
	case string(name) != algorithm:
		err = fmt.Errorf("the hash %q is not known", name)
	case le.Uint32(s[64:]) != BlockSize || le.Uint32(s[68:]) != BlockSize:
		err = fmt.Errorf("blocks of %d and %d bytes are not known", le.Uint32(s[64:]), le.Uint32(s[68:]))
	case salt > MaxSalt:
		err = fmt.Errorf("a salt of %d bytes", salt)
	case blocks == 0 || blocks > maxSize/BlockSize:
		err = fmt.Errorf("%d blocks of data", blocks)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a verity superblock: %w", err)
	}
	return &Superblock{Options{s[88 : 88+salt : 88+salt], [16]byte(s[16:32])}, int64(blocks) * BlockSize}, nil
}

// ErrMismatch says that data or a tree are not those of a root hash.
var ErrMismatch = errors.New("it does not match")

// Verify reads data and its tree and reports whether they are those of the root
// hash: an [ErrMismatch] says where they are not.
func Verify(ctx context.Context, data io.ReaderAt, size int64, hashes io.ReaderAt, root Digest) error {
	s, err := Read(hashes)
	if err != nil {
		return err
	}
	if s.DataSize != size {
		return fmt.Errorf("verifying: the tree is of %d bytes, and the data has %d: %w", s.DataSize, size, ErrMismatch)
	}
	got, err := write(ctx, data, size, comparing{hashes}, s.Options)
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	if got != root {
		return fmt.Errorf("verifying: the root hash is %x and not %x: %w", got, root, ErrMismatch)
	}
	return nil
}

// comparing compares what would be written with what is there.
type comparing struct{ r io.ReaderAt }

func (c comparing) WriteAt(want []byte, at int64) (int, error) {
	got := make([]byte, len(want))
	if n, err := c.r.ReadAt(got, at); n < len(got) {
		return 0, fmt.Errorf("the tree ends at byte %d: %w", at+int64(n), err)
	}
	if !bytes.Equal(got, want) {
		return 0, fmt.Errorf("the block at byte %d of the tree, or what it is of: %w", at, ErrMismatch)
	}
	return len(want), nil
}
