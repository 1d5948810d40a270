package ext4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
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
)

type reader struct {
	r                 io.ReaderAt
	ctx               context.Context
	seed              uint32
	blocks, groups    int64
	perGroup, inodes  int64
	tables            []byte // the descriptors
	tree              tree.Builder
	first             map[uint32]string
	extentsLeft, seen int
	bytesLeft         int64
}

// Read reads the ext4 file system of at most size bytes that begins at byte 0 of
// r, which has to stay open while the tree is used. It reads what has the
// features that Write makes, and no journal that is to be played back. Checksums
// of the superblock, of inodes and of blocks of extents are held against; bitmaps
// and hashes of directories are not looked at. An empty lost+found of inode 11 is
// left out. Files of more than 16 times the volume's size, which are holes, are an
// error.
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
	p.blocks = int64(le.Uint32(b[4:])) | int64(le.Uint32(b[0x150:]))<<32
	p.perGroup, p.inodes = int64(le.Uint32(b[0x28:])), int64(le.Uint32(b))
	p.groups = ceil(p.blocks, groupBlocks)
	switch {
	case le.Uint16(b[0x38:]) != 0xEF53:
		return nil, errors.New("no superblock")
	case le.Uint32(b[0x60:]) != incompatible || le.Uint32(b[0x64:])&^readOnly != 0 || le.Uint32(b[0x64:])&0x400 == 0:
		return nil, errors.New("features that are not supported")
	case le.Uint32(b[0x3FC:]) != crc(math.MaxUint32, b[:0x3FC]):
		return nil, errors.New("the superblock's checksum is wrong")
	case le.Uint32(b[0x18:]) != 2 || le.Uint32(b[0x20:]) != groupBlocks || le.Uint16(b[0x58:]) != inodeSize || le.Uint16(b[0xFE:]) != descSize:
		return nil, errors.New("sizes of blocks, groups or inodes that are not supported")
	case p.blocks <= 0 || p.blocks > size/blockSize:
		return nil, errors.New("it is cut off")
	case p.perGroup == 0 || p.perGroup > groupBlocks || p.perGroup%inodesPerBlock != 0 || p.inodes != p.perGroup*p.groups:
		return nil, errors.New("wrong numbers of inodes")
	}
	p.tables = make([]byte, p.groups*descSize)
	if _, err := p.r.ReadAt(p.tables, blockSize); err != nil {
		return nil, fmt.Errorf("the groups: %w", err)
	}
	v := &Volume{Size: p.blocks * blockSize, Label: strings.TrimRight(string(b[0x78:0x88]), "\x00")}
	copy(v.UUID[:], b[0x68:])
	v.Free = (int64(le.Uint32(b[0xC:])) | int64(le.Uint32(b[0x158:]))<<32) * blockSize
	if v.Free < 0 || v.Free > v.Size {
		return nil, errors.New("a wrong number of free blocks")
	}
	p.bytesLeft = maxHoles * v.Size
	p.seed = crc(math.MaxUint32, v.UUID[:])
	return v, nil
}

// block reads a block.
func (p *reader) block(at int64) ([]byte, error) {
	if at <= 0 || at >= p.blocks {
		return nil, fmt.Errorf("the block %d is not there", at)
	}
	b := make([]byte, blockSize)
	_, err := io.ReadFull(io.NewSectionReader(p.r, at*blockSize, blockSize), b)
	return b, err
}

// readInode is an inode and its bytes.
type readInode struct {
	tree.Inode
	raw    []byte
	number uint32
	seed   uint32
	size   int64
}

func (p *reader) inode(number uint32) (*readInode, error) {
	k := int64(number) - 1
	if k < 0 || k >= p.inodes {
		return nil, fmt.Errorf("the inode %d is not there", number)
	}
	d := p.tables[k/p.perGroup*descSize:]
	table := int64(le.Uint32(d[8:])) | int64(le.Uint32(d[0x28:]))<<32
	if table <= 0 || table > p.blocks-p.perGroup/inodesPerBlock {
		return nil, errors.New("an inode table is not there")
	}
	b := make([]byte, inodeSize)
	if _, err := p.r.ReadAt(b, table*blockSize+k%p.perGroup*inodeSize); err != nil {
		return nil, err
	}
	i := &readInode{raw: b, number: number, seed: crc32of(crc32of(p.seed, number), le.Uint32(b[0x64:]))}
	sum := uint32(le.Uint16(b[0x7C:])) | uint32(le.Uint16(b[0x82:]))<<16
	le.PutUint16(b[0x7C:], 0)
	le.PutUint16(b[0x82:], 0)
	if crc(i.seed, b) != sum {
		return nil, fmt.Errorf("the checksum of inode %d is wrong", number)
	}
	i.Mode = tree.Mode(le.Uint16(b))
	i.UID = uint32(le.Uint16(b[2:])) | uint32(le.Uint16(b[0x78:]))<<16
	i.GID = uint32(le.Uint16(b[0x18:])) | uint32(le.Uint16(b[0x7A:]))<<16
	extra := le.Uint32(b[0x88:])
	i.ModTime = tree.Time{Sec: int64(int32(le.Uint32(b[0x10:]))) + int64(extra&3)<<32, Nsec: extra >> 2}
	i.size = int64(le.Uint32(b[4:])) | int64(le.Uint32(b[0x6C:]))<<32
	if i.size < 0 || i.size > (1<<32-1)*blockSize || i.ModTime.Nsec > 999_999_999 || kinds[i.Mode.Type()] == 0 {
		return nil, fmt.Errorf("the inode %d has a wrong type, size or time", number)
	}
	var err error
	i.Xattrs, err = p.xattrs(b)
	return i, err
}

func (p *reader) xattrs(b []byte) ([]tree.Xattr, error) {
	var list []tree.Xattr
	var err error
	if le.Uint16(b[0x80:]) == 32 && le.Uint32(b[0xA0:]) == xattrMagic {
		if list, err = readAttributes(nil, b, 0xA4, 0xA4); err != nil {
			return nil, err
		}
	}
	if at := int64(le.Uint32(b[0x68:])) | int64(le.Uint16(b[0x76:]))<<32; at != 0 {
		b, err := p.block(at)
		if err != nil {
			return nil, err
		}
		if le.Uint32(b) != xattrMagic {
			return nil, errors.New("a block of no extended attributes")
		}
		if list, err = readAttributes(list, b, xattrHeader, 0); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func readAttributes(list []tree.Xattr, b []byte, from, base int) ([]tree.Xattr, error) {
	bad := errors.New("wrong extended attributes")
	for from+4 <= len(b) && le.Uint32(b[from:]) != 0 {
		if from+xattrEntrySize > len(b) {
			return nil, bad
		}
		e := b[from:]
		names, size, at := int(e[0]), int64(le.Uint32(e[8:])), int64(le.Uint16(e[2:]))+int64(base)
		if xattrEntrySize+names > len(e) || at+size > int64(len(b)) || le.Uint32(e[4:]) != 0 {
			return nil, bad
		}
		x := tree.Xattr{Name: string(e[xattrEntrySize : xattrEntrySize+names]), Value: string(b[at : at+size])}
		ok := false
		switch e[1] {
		case 2, 3:
			x.Name = accessACL
			if e[1] == 3 {
				x.Name = defaultACL
			}
			x.Value, ok = kernelACL([]byte(x.Value))
		default:
			for _, s := range namespaces {
				if s.index == e[1] {
					x.Name, ok = s.prefix+x.Name, true
				}
			}
		}
		if !ok {
			return nil, bad
		}
		list = append(list, x)
		from += xattrEntrySize + round4(names)
	}
	return list, nil
}

// extents are those of an inode, in order and not overlapping.
func (p *reader) extents(i *readInode) ([]extent, error) {
	if le.Uint32(i.raw[0x20:])&flagExtents == 0 {
		return nil, errors.New("blocks without extents are not supported")
	}
	var list []extent
	err := p.walk(i, i.raw[0x28:0x28+60], 5, &list)
	return list, err
}

func (p *reader) walk(i *readInode, b []byte, below int, list *[]extent) error {
	count, depth := int(le.Uint16(b[2:])), int(le.Uint16(b[6:]))
	if le.Uint16(b) != extentMagic || 12+12*count > len(b) || depth > below {
		return errors.New("wrong extents")
	}
	for k := range count {
		at := b[12+12*k:]
		if p.extentsLeft--; p.extentsLeft < 0 {
			return errors.New("too many extents")
		}
		if depth > 0 {
			block, err := p.block(int64(le.Uint32(at[4:])) | int64(le.Uint16(at[8:]))<<32)
			if err != nil {
				return err
			}
			if crc(i.seed, block[:blockSize-4]) != le.Uint32(block[blockSize-4:]) || int(le.Uint16(block[6:])) != depth-1 {
				return errors.New("a block of extents is wrong")
			}
			if err := p.walk(i, block, depth-1, list); err != nil {
				return err
			}
			continue
		}
		x := extent{int64(le.Uint32(at)), int64(le.Uint32(at[8:])) | int64(le.Uint16(at[6:]))<<32, int64(le.Uint16(at[4:]))}
		if n := len(*list); n > 0 && (*list)[n-1].logical+(*list)[n-1].count > x.logical ||
			x.count == 0 || x.count > maxExtent || x.physical <= 0 || x.physical+x.count > p.blocks || x.logical+x.count > ceil(i.size, blockSize) {
			return errors.New("wrong extents")
		}
		*list = append(*list, x)
	}
	return nil
}
