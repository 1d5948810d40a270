package squashfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Image is a file system that was read.
type Image struct {
	Compression string // "gzip", "xz", "lz4" or "zstd"
	BlockSize   int    // bytes
	Used        int64  // bytes, without what fills up to 4 KiB
	Time        uint32 // of its making, in seconds since 1970
	Fragments   int
	// Tree is what is in it. The contents are read from the image when they are
	// opened.
	Tree *tree.Tree
}

// What bounds a reading.
const (
	maxNodes      = 2_000_000
	maxBlocks     = 1 << 24  // of all files
	maxXattrBytes = 64 << 20 // of all inodes
)

// maxContent bounds the bytes of all files, since they are hashed.
var maxContent int64 = 256 << 30

var errTruncated = errors.New("it is cut off")

// Read reads the squashfs 4.0 file system of at most size bytes that begins at
// byte 0 of r, which has to stay open while the tree is used. What is
// compressed by LZMA or LZO is an error, and so are directories that are in two
// places, more than 2,000,000 paths, 16 million blocks or 256 GiB of contents, and
// names that a tree cannot have. All contents are hashed.
func Read(ctx context.Context, r io.ReaderAt, size int64) (*Image, error) {
	p := &reader{ctx: ctx, r: r, met: map[uint64]string{}, cache: map[uint64]*metaBlock{}}
	i, err := p.read(size)
	if err != nil {
		return nil, fmt.Errorf("reading a squashfs file system: %w", err)
	}
	return i, nil
}

type reader struct {
	ctx       context.Context
	r         io.ReaderAt
	s         superblock
	d         *decompressor
	tree      tree.Builder
	met       map[uint64]string // the first path of an inode
	ids       []uint32
	fragments []uint64 // where they are, and their sizes
	xattrs    []byte
	xattrAt   uint64 // of the table of the pairs
	cache     map[uint64]*metaBlock
	shared    *fragmentCache

	nodes, blocks, xattrBytes int
	content                   int64
}

func (p *reader) read(size int64) (*Image, error) {
	if err := p.super(size); err != nil {
		return nil, err
	}
	if err := p.tables(); err != nil {
		return nil, err
	}
	root, err := p.inode(p.s.root)
	if err != nil {
		return nil, &tree.PathError{Err: err}
	}
	if !root.inode.Mode.IsDir() {
		return nil, &tree.PathError{Err: fmt.Errorf("a %s", root.inode.Mode.TypeName())}
	}
	if err := p.tree.Set("", root.inode); err != nil {
		return nil, err
	}
	p.met[p.s.root] = ""
	for dirs := []pending{{"", root}}; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		found, err := p.directory(dir)
		if err != nil {
			return nil, &tree.PathError{Path: dir.path, Err: err}
		}
		dirs = append(dirs, found...)
	}
	t, err := p.tree.Freeze(p.ctx)
	if err != nil {
		return nil, err
	}
	i := &Image{Compression: compressions[p.s.method], BlockSize: int(p.s.block), Used: int64(p.s.used), Time: p.s.time, Fragments: int(p.s.fragments), Tree: t}
	return i, nil
}

func (p *reader) super(size int64) error {
	b := make([]byte, superSize)
	if err := readAt(p.r, b, 0); err != nil {
		return err
	}
	s := &p.s
	if little.Uint32(b) != magic {
		return errors.New("it has no superblock of squashfs")
	}
	for i, v := range []*uint32{&s.inodes, &s.time, &s.block, &s.fragments} {
		*v = little.Uint32(b[4+4*i:])
	}
	var log, major, minor uint16
	for i, v := range []*uint16{&s.method, &log, &s.flags, &s.ids, &major, &minor} {
		*v = little.Uint16(b[20+2*i:])
	}
	for i, v := range []*uint64{&s.root, &s.used, &s.idTable, &s.xattrTable, &s.inodeTable, &s.dirTable, &s.fragmentTable, &s.exportTable} {
		*v = little.Uint64(b[32+8*i:])
	}
	switch {
	case major != 4 || minor != 0:
		return fmt.Errorf("it is of version %d.%d, and only 4.0 is known", major, minor)
	case !validBlock(int64(s.block)) || int(log) != bits.TrailingZeros32(s.block):
		return fmt.Errorf("its blocks have %d bytes", s.block)
	case s.used < superSize || size < 0 || s.used > uint64(size):
		return fmt.Errorf("it says to have %d bytes, and there are %d", s.used, size)
	case s.inodeTable >= s.used || s.dirTable > s.used || s.idTable >= s.used:
		return errors.New("its tables are outside of it")
	case s.inodes > maxNodes || s.fragments > maxNodes:
		return fmt.Errorf("it says to have %d inodes and %d fragments", s.inodes, s.fragments)
	}
	var err error
	p.d, err = newDecompressor(s.method)
	p.shared = &fragmentCache{}
	return err
}

func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return errTruncated
	}
	return err
}

// tables reads the tables that are needed for all inodes.
func (p *reader) tables() error {
	ids, err := p.table(p.s.idTable, int(p.s.ids)*4)
	if err != nil {
		return fmt.Errorf("the owners: %w", err)
	}
	for i := 0; i < len(ids); i += 4 {
		p.ids = append(p.ids, little.Uint32(ids[i:]))
	}
	fragments, err := p.table(p.s.fragmentTable, int(p.s.fragments)*16)
	if err != nil {
		return fmt.Errorf("the fragments: %w", err)
	}
	for i := 0; i < len(fragments); i += 16 {
		p.fragments = append(p.fragments, little.Uint64(fragments[i:]), uint64(little.Uint32(fragments[i+8:])))
	}
	if p.s.xattrTable == none64 {
		return nil
	}
	var head [16]byte
	if err := p.within(head[:], p.s.xattrTable); err != nil {
		return fmt.Errorf("the attributes: %w", err)
	}
	p.xattrAt = little.Uint64(head[:])
	count := little.Uint32(head[8:])
	if count > maxNodes {
		return fmt.Errorf("it says to have %d lists of attributes", count)
	}
	if p.xattrs, err = p.table(p.s.xattrTable+16, int(count)*16); err != nil {
		return fmt.Errorf("the attributes: %w", err)
	}
	return nil
}

// within reads what has to be in the file system.
func (p *reader) within(b []byte, at uint64) error {
	if at > p.s.used || uint64(len(b)) > p.s.used-at {
		return errTruncated
	}
	return readAt(p.r, b, int64(at))
}

// table is size bytes of a table whose list of blocks is at a place.
func (p *reader) table(at uint64, size int) ([]byte, error) {
	out := []byte{}
	for len(out) < size {
		var where [8]byte
		if err := p.within(where[:], at); err != nil {
			return nil, err
		}
		at += 8
		b, err := p.metaBlock(little.Uint64(where[:]))
		if err != nil {
			return nil, err
		}
		if len(b.data) < min(metaSize, size-len(out)) {
			return nil, errTruncated
		}
		out = append(out, b.data...)
	}
	return slices.Clip(out[:size]), nil
}
