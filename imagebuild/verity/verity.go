// Package verity writes and checks the hash trees by which dm-verity of Linux
// knows each block of a read-only device, as the kernel's
// Documentation/admin-guide/device-mapper/verity.rst and cryptsetup's
// superblock have them: format 1, SHA-256, blocks of 4096 bytes of both kinds.
//
// The tree stands in a device or partition of its own: a block with the
// superblock, then the levels, that of the fewest blocks first. Salt and UUID
// are given and not made. Blocks of zeros are hashed once. What is written does
// not depend on the number of CPUs.
//
// Data that are not of whole blocks are refused, as are other hashes and sizes
// of blocks when a tree is read. Signatures and forward error correction are not
// made.
package verity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	// BlockSize is the size of blocks of data and of hashes, in bytes.
	BlockSize = 4096
	// MaxSalt is the largest number of bytes of a salt.
	MaxSalt = 256

	perBlock = BlockSize / sha256.Size
	maxSize  = math.MaxInt64 / 2
)

// Digest is the SHA-256 of a block, after the salt.
type Digest = [sha256.Size]byte

// Options are what makes one tree differ from another of the same data.
type Options struct {
	Salt []byte   // up to 256 bytes
	UUID [16]byte // of the superblock
}

// Size is the number of bytes of the tree, with its superblock, of so many bytes
// of data, which have to be of whole blocks.
func Size(data int64) int64 {
	blocks := int64(1)
	for _, n := range levels(data / BlockSize) {
		blocks += n
	}
	return blocks * BlockSize
}

// levels are the numbers of blocks of hashes of each level, from the one of the
// data's hashes to that of one block. One block of data has none.
func levels(blocks int64) (counts []int64) {
	for blocks > 1 {
		blocks = (blocks + perBlock - 1) / perBlock
		counts = append(counts, blocks)
	}
	return counts
}

// Write writes the tree of the first size bytes of data to w, from its byte 0
// on, and returns the root hash and the tree's size in bytes. Data that knows
// its holes, as a [tree.Sparse] does by its Extents, is not read in them. The
// arguments are used by several goroutines at once.
func Write(ctx context.Context, data io.ReaderAt, size int64, w io.WriterAt, o Options) (Digest, int64, error) {
	root, err := write(ctx, data, size, w, o)
	if err != nil {
		return Digest{}, 0, fmt.Errorf("writing a verity hash tree: %w", err)
	}
	return root, Size(size), nil
}

func write(ctx context.Context, data io.ReaderAt, size int64, w io.WriterAt, o Options) (Digest, error) {
	switch {
	case size <= 0 || size%BlockSize != 0 || size > maxSize:
		return Digest{}, fmt.Errorf("data of %d bytes: it must be a multiple of %d", size, BlockSize)
	case len(o.Salt) > MaxSalt:
		return Digest{}, fmt.Errorf("a salt of %d bytes: at most %d are possible", len(o.Salt), MaxSalt)
	}
	b := &builder{ctx: ctx, data: data, w: w, salt: o.Salt, counts: levels(size / BlockSize)}
	if sparse, ok := data.(interface{ Extents() []tree.Extent }); ok {
		b.extents, b.sparse = sparse.Extents(), true
	}
	b.zero = b.hash(make([]byte, BlockSize))
	if err := b.superblock(o, size/BlockSize); err != nil {
		return Digest{}, err
	}
	return b.root(size)
}

// builder is the state of a tree that is made.
type builder struct {
	ctx     context.Context
	data    io.ReaderAt
	w       io.WriterAt
	salt    []byte
	counts  []int64
	zero    Digest // of a block of zeros
	extents []tree.Extent
	sparse  bool
}

func (b *builder) hash(block []byte) (d Digest) {
	h := sha256.New()
	h.Write(b.salt)
	h.Write(block)
	h.Sum(d[:0])
	return d
}

// place is the byte at which a level begins: those of fewer blocks are before.
func (b *builder) place(level int) int64 {
	at := int64(1)
	for _, n := range b.counts[level+1:] {
		at += n
	}
	return at * BlockSize
}

// root writes all levels.
func (b *builder) root(size int64) (Digest, error) {
	if len(b.counts) == 0 {
		block := make([]byte, BlockSize)
		err := b.read(block, 0)
		return b.hash(block), err
	}
	digests, err := b.bottom(size)
	for level := 1; level < len(b.counts) && err == nil; level++ {
		digests, err = b.above(digests, level)
	}
	if err != nil {
		return Digest{}, err
	}
	return digests[0], nil
}

// bottom writes the hashes of the data, and returns those of their blocks. Each
// block of hashes is one piece of work.
func (b *builder) bottom(size int64) ([]Digest, error) {
	digests := make([]Digest, b.counts[0])
	place := b.place(0)
	group, ctx := errgroup.WithContext(b.ctx)
	work := make(chan int64)
	group.Go(func() error {
		defer close(work)
		for i := range b.counts[0] {
			select {
			case work <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			data := make([]byte, perBlock*BlockSize)
			block := make([]byte, BlockSize)
			for i := range work {
				at := i * int64(len(data))
				part := data[:min(int64(len(data)), size-at)]
				if err := b.read(part, at); err != nil {
					return err
				}
				clear(block)
				for j := 0; j < len(part); j += BlockSize {
					d := b.zero
					if one := part[j : j+BlockSize]; !isZero(one) {
						d = b.hash(one)
					}
					copy(block[j/BlockSize*sha256.Size:], d[:])
				}
				if _, err := b.w.WriteAt(block, place+i*BlockSize); err != nil {
					return err
				}
				digests[i] = b.hash(block)
			}
			return nil
		})
	}
	return digests, group.Wait()
}

// above writes a level of the hashes of the one below it.
func (b *builder) above(below []Digest, level int) ([]Digest, error) {
	digests := make([]Digest, b.counts[level])
	place := b.place(level)
	for i := range digests {
		if err := b.ctx.Err(); err != nil {
			return nil, err
		}
		block := make([]byte, 0, BlockSize)
		for _, d := range below[i*perBlock : min((i+1)*perBlock, len(below))] {
			block = append(block, d[:]...)
		}
		block = block[:BlockSize]
		if _, err := b.w.WriteAt(block, place+int64(i)*BlockSize); err != nil {
			return nil, err
		}
		digests[i] = b.hash(block)
	}
	return digests, nil
}

// read reads data, but where it is known to be zero.
func (b *builder) read(p []byte, at int64) error {
	if b.sparse && !b.touches(at, int64(len(p))) {
		clear(p)
		return nil
	}
	n, err := b.data.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("the data ends at byte %d: %w", at+int64(n), io.ErrUnexpectedEOF)
	}
	return err
}

// touches reports whether an extent is in a part of the data.
func (b *builder) touches(at, length int64) bool {
	low, high := 0, len(b.extents)
	for low < high {
		if middle := (low + high) / 2; b.extents[middle].Offset+b.extents[middle].Length <= at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(b.extents) && b.extents[low].Offset < at+length
}
