package ext4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Volume is a file system that was read.
type Volume struct {
	UUID  [16]byte
	Label string
	Size  int64 // bytes that the file system says to have
	Free  int64 // bytes that no file has
	// Tree is what is in it. Contents are read when they are opened.
	Tree *tree.Tree
}

const (
	maxNodes   = 2_000_000
	maxExtents = 4 << 20
	maxDir     = 64 << 20
	maxHoles   = 16 // times the volume's size that files may have in all

	// What of the features of others is read, of those that one who does not know
	// them must not even read: file types, extents, 64 bits, several mounts, groups
	// together, attributes in inodes (which are an error where there are some), a
	// seed of checksums, large directories, names without case.
	readable = 0x2 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x20000

	hasOwnSeed   = 0x2000
	maxReadBlock = 32 << 10
	minInodeSize = 128
)

type reader struct {
	r                io.ReaderAt
	ctx              context.Context
	sums             bool
	seed             uint32
	blockSize        int64
	inodeSize        int64
	blocks           int64
	perGroup, inodes int64
	tables           []int64 // of the inodes of each group, by block
	tree             tree.Builder
	first            map[uint32]string
	extentsLeft      int
	seen             int
	bytesLeft        int64
}

// Read reads the ext2, ext3 or ext4 file system of at most size bytes that begins
// at byte 0 of r, which has to stay open while the tree is used. Features that
// would have to be known to read it are errors that name them: data in inodes,
// encryption, descriptors in each group, blocks of more than 32 KiB. So is a
// journal that is to be played back. Checksums of the superblock, of inodes and of
// blocks of extents are held against, where there are any; bitmaps and hashes of
// directories are not looked at. An empty lost+found of inode 11 is left out.
// Files of more than 16 times the volume's size, which are holes, are an error.
func Read(ctx context.Context, r io.ReaderAt, size int64) (*Volume, error) {
	p := &reader{r: r, ctx: ctx, first: map[uint32]string{}, extentsLeft: maxExtents}
	v, err := p.super(size)
	if err == nil {
		v.Tree, err = p.all()
	}
	if err != nil {
		return nil, fmt.Errorf("reading an ext4 file system: %w", err)
	}
	return v, nil
}

func (p *reader) super(size int64) (*Volume, error) {
	b := make([]byte, 1024)
	if _, err := p.r.ReadAt(b, 1024); err != nil {
		return nil, fmt.Errorf("the superblock: %w", err)
	}
	s, err := parseSuper(b)
	if err != nil {
		return nil, fmt.Errorf("the superblock: %w", err)
	}
	if err := s.readable(b); err != nil {
		return nil, err
	}
	p.sums = le.Uint32(b[0x64:])&hasChecksums != 0
	p.blockSize, p.inodeSize, p.blocks = s.BlockSize, int64(s.InodeSize), s.Blocks
	p.perGroup, p.inodes = int64(le.Uint32(b[0x28:])), s.Inodes
	first, perGroup := int64(le.Uint32(b[0x14:])), int64(le.Uint32(b[0x20:]))
	switch {
	case p.blocks > size/p.blockSize:
		return nil, errors.New("it is cut off")
	case perGroup == 0 || first > 1 || p.blocks <= first:
		return nil, fmt.Errorf("groups of %d blocks from the block %d on", perGroup, first)
	}
	groups := ceil(p.blocks-first, perGroup)
	if p.perGroup == 0 || p.perGroup > 8*p.blockSize || p.inodes != p.perGroup*groups {
		return nil, errors.New("wrong numbers of inodes")
	}
	if err := p.groups(groups, (1024/p.blockSize+1)*p.blockSize, b); err != nil {
		return nil, err
	}
	p.bytesLeft = maxHoles * s.Size
	p.seed = crc(math.MaxUint32, s.UUID[:])
	if le.Uint32(b[0x60:])&hasOwnSeed != 0 {
		p.seed = le.Uint32(b[0x270:])
	}
	return &Volume{UUID: s.UUID, Label: s.Label, Size: s.Size, Free: s.Free * s.BlockSize}, nil
}

// readable says why a file system of this superblock cannot be read.
func (s *Super) readable(b []byte) error {
	incompat := le.Uint32(b[0x60:])
	if incompat&needsRecovery != 0 {
		return errors.New("its journal is to be played back, which is not supported; e2fsck does it")
	}
	if unknown := incompat &^ readable; unknown != 0 {
		return fmt.Errorf("features that are not supported: %s", strings.Join(featureNames([3]uint32{1: unknown}), ", "))
	}
	if n := int64(s.InodeSize); s.BlockSize > maxReadBlock || n < minInodeSize || n > s.BlockSize || n&(n-1) != 0 {
		return fmt.Errorf("blocks of %d and inodes of %d bytes, which are not supported", s.BlockSize, n)
	}
	return nil
}

// groups reads where the inodes of each group are.
func (p *reader) groups(count, at int64, super []byte) error {
	size := int64(32)
	if le.Uint32(super[0x60:])&only64 != 0 {
		if size = int64(le.Uint16(super[0xFE:])); size < 64 || size > 1024 || size&(size-1) != 0 {
			return fmt.Errorf("groups are described in %d bytes", size)
		}
	}
	if count > (p.blocks*p.blockSize-at)/size {
		return errors.New("the groups: it is cut off")
	}
	b := make([]byte, count*size)
	if _, err := p.r.ReadAt(b, at); err != nil {
		return fmt.Errorf("the groups: %w", err)
	}
	p.tables = make([]int64, count)
	for g := range p.tables {
		d := b[int64(g)*size:]
		p.tables[g] = int64(le.Uint32(d[8:]))
		if size >= 64 {
			p.tables[g] |= int64(le.Uint32(d[0x28:])) << 32
		}
	}
	return nil
}

// block reads a block.
func (p *reader) block(at int64) ([]byte, error) {
	if at <= 0 || at >= p.blocks {
		return nil, fmt.Errorf("the block %d is not there", at)
	}
	b := make([]byte, p.blockSize)
	_, err := io.ReadFull(io.NewSectionReader(p.r, at*p.blockSize, p.blockSize), b)
	return b, err
}
