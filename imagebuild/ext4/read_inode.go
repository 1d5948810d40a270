package ext4

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Flags of inodes that only others set.
const (
	flagEncrypted = 0x800
	flagInline    = 0x10000000
)

// readInode is an inode and its bytes.
type readInode struct {
	tree.Inode
	raw    []byte
	number uint32
	seed   uint32
	size   int64
}

func (i *readInode) has(flag uint32) bool { return le.Uint32(i.raw[0x20:])&flag != 0 }

// extra is how many bytes an inode has besides the first 128 for fields, which
// attributes are behind.
func (i *readInode) extra() int {
	if len(i.raw) == minInodeSize {
		return 0
	}
	return int(le.Uint16(i.raw[0x80:]))
}

// rawInode is the bytes of an inode.
func (p *reader) rawInode(number uint32) ([]byte, error) {
	k := int64(number) - 1
	if k < 0 || k >= p.inodes {
		return nil, fmt.Errorf("the inode %d is not there", number)
	}
	table := p.tables[k/p.perGroup]
	if table <= 0 || table > p.blocks-ceil(p.perGroup*p.inodeSize, p.blockSize) {
		return nil, errors.New("an inode table is not there")
	}
	b := make([]byte, p.inodeSize)
	_, err := p.r.ReadAt(b, table*p.blockSize+k%p.perGroup*p.inodeSize)
	return b, err
}

func (p *reader) inode(number uint32) (*readInode, error) {
	b, err := p.rawInode(number)
	if err != nil {
		return nil, err
	}
	i := &readInode{raw: b, number: number, seed: crc32of(crc32of(p.seed, number), le.Uint32(b[0x64:]))}
	if i.extra() > len(b)-minInodeSize || i.extra()%4 != 0 {
		return nil, fmt.Errorf("the inode %d has %d bytes besides", number, i.extra())
	}
	if err := p.checkInode(i); err != nil {
		return nil, err
	}
	i.Mode = tree.Mode(le.Uint16(b))
	i.UID = uint32(le.Uint16(b[2:])) | uint32(le.Uint16(b[0x78:]))<<16
	i.GID = uint32(le.Uint16(b[0x18:])) | uint32(le.Uint16(b[0x7A:]))<<16
	i.ModTime.Sec = int64(int32(le.Uint32(b[0x10:])))
	if i.extra() >= 0x8C-minInodeSize {
		extra := le.Uint32(b[0x88:])
		i.ModTime.Sec += int64(extra&3) << 32
		i.ModTime.Nsec = extra >> 2
	}
	i.size = int64(le.Uint32(b[4:])) | int64(le.Uint32(b[0x6C:]))<<32
	switch {
	case i.size < 0 || i.size > (1<<32-1)*p.blockSize || i.ModTime.Nsec > 999_999_999 || kinds[i.Mode.Type()] == 0:
		return nil, fmt.Errorf("the inode %d has a wrong type, size or time", number)
	case i.has(flagInline | flagEncrypted):
		return nil, fmt.Errorf("the inode %d has encrypted data or data in itself, which are not supported", number)
	}
	i.Xattrs, err = p.xattrs(i)
	return i, err
}

// checkInode holds the checksum against the inode, whose fields for it are then
// zero. Where there are no bytes besides, half of it is there.
func (p *reader) checkInode(i *readInode) error {
	if !p.sums {
		return nil
	}
	want, mask := uint32(le.Uint16(i.raw[0x7C:])), uint32(0xFFFF)
	le.PutUint16(i.raw[0x7C:], 0)
	if i.extra() >= 0x84-minInodeSize {
		want |= uint32(le.Uint16(i.raw[0x82:])) << 16
		mask = 1<<32 - 1
		le.PutUint16(i.raw[0x82:], 0)
	}
	if crc(i.seed, i.raw)&mask != want {
		return fmt.Errorf("the checksum of inode %d is wrong", i.number)
	}
	return nil
}

func (p *reader) xattrs(i *readInode) ([]tree.Xattr, error) {
	var list []tree.Xattr
	var err error
	if at := minInodeSize + i.extra(); i.extra() > 0 && at+4 <= len(i.raw) && le.Uint32(i.raw[at:]) == xattrMagic {
		if list, err = readAttributes(nil, i.raw, at+4, at+4); err != nil {
			return nil, err
		}
	}
	if at := int64(le.Uint32(i.raw[0x68:])) | int64(le.Uint16(i.raw[0x76:]))<<32; at != 0 {
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
		if le.Uint32(e[4:]) != 0 {
			return nil, errors.New("an extended attribute in an inode of its own, which is not supported")
		}
		names, size, at := int(e[0]), int64(le.Uint32(e[8:])), int64(le.Uint16(e[2:]))+int64(base)
		if xattrEntrySize+names > len(e) || at+size > int64(len(b)) {
			return nil, bad
		}
		x, ok := namedAttribute(e[1], string(e[xattrEntrySize:xattrEntrySize+names]), b[at:at+size])
		if !ok {
			return nil, bad
		}
		list = append(list, x)
		from += xattrEntrySize + round4(names)
	}
	return list, nil
}

// namedAttribute is one whose name has a prefix that a number stands for.
func namedAttribute(index byte, name string, value []byte) (x tree.Xattr, ok bool) {
	switch index {
	case 2, 3:
		x.Name = accessACL
		if index == 3 {
			x.Name = defaultACL
		}
		x.Value, ok = kernelACL(value)
		return x, ok
	}
	for _, s := range namespaces {
		if s.index == index {
			return tree.Xattr{Name: s.prefix + name, Value: string(value)}, true
		}
	}
	return x, false
}
