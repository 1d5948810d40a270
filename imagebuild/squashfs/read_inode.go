package squashfs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// found is an inode, and of a directory, where its list is.
type found struct {
	inode     tree.Inode
	listBlock uint32
	listAt    uint16
	listSize  int64
}

type pending struct {
	path string
	dir  found
}

var modes = map[uint16]tree.Mode{typeDirectory: tree.Directory, typeRegular: tree.Regular, typeSymlink: tree.Symlink,
	typeBlock: tree.BlockDev, typeChar: tree.CharDev, typeFifo: tree.Fifo, typeSocket: tree.Socket}

func (p *reader) inode(reference uint64) (found, error) {
	c := p.cursor(p.s.inodeTable, reference)
	kind, bits, uid, gid, seconds, _ := c.u16(), c.u16(), c.u16(), c.u16(), c.u32(), c.u32()
	if c.err != nil {
		return found{}, c.err
	}
	told := kind
	isExtended := kind > typeExtended
	if isExtended {
		kind -= typeExtended
	}
	mode, known := modes[kind]
	if !known {
		return found{}, fmt.Errorf("an inode of type %d", told)
	}
	if int(uid) >= len(p.ids) || int(gid) >= len(p.ids) || bits > 0o7777 {
		return found{}, fmt.Errorf("an inode of mode %o and the owners of numbers %d and %d", bits, uid, gid)
	}
	f := found{inode: tree.Inode{Mode: mode | tree.Mode(bits), UID: p.ids[uid], GID: p.ids[gid], ModTime: tree.Time{Sec: int64(seconds)}}}
	xattrs := uint32(none32)
	var err error
	switch kind {
	case typeDirectory:
		xattrs = f.directory(c, isExtended)
	case typeRegular:
		xattrs, err = p.file(c, &f.inode, isExtended)
	default:
		c.u32() // the number of links
		err = f.special(c)
		if isExtended {
			xattrs = c.u32()
		}
	}
	if err == nil {
		err = c.err
	}
	if err == nil && xattrs != none32 {
		f.inode.Xattrs, err = p.attributes(xattrs)
	}
	return f, err
}

func (f *found) directory(c *cursor, isExtended bool) (xattrs uint32) {
	var size int64
	if !isExtended {
		f.listBlock = c.u32()
		c.u32()
		size, f.listAt = int64(c.u16()), c.u16()
		xattrs = none32
	} else {
		c.u32()
		size, f.listBlock = int64(c.u32()), c.u32()
		c.u32()
		c.u16()
		f.listAt, xattrs = c.u16(), c.u32()
	}
	f.listSize = max(size-moreThanList, 0)
	return xattrs
}

func (f *found) special(c *cursor) error {
	switch n := &f.inode; {
	case n.Mode.Type() == tree.Symlink:
		size := c.u32()
		if size == 0 || size > tree.MaxPath {
			return fmt.Errorf("a symbolic link of %d bytes", size)
		}
		n.Target = string(c.bytes(int(size)))
	case n.Mode.IsDevice():
		d := c.u32()
		n.Major, n.Minor = d>>8&0xFFF, d&0xFF|d>>20<<8
	}
	return nil
}

func (p *reader) file(c *cursor, n *tree.Inode, isExtended bool) (xattrs uint32, err error) {
	f := &fileContent{p: p}
	xattrs = none32
	var size uint64
	if isExtended {
		f.start, size = c.u64(), c.u64()
		c.u64()
		c.u32()
		f.fragment, f.offset, xattrs = c.u32(), c.u32(), c.u32()
	} else {
		f.start, f.fragment, f.offset, size = uint64(c.u32()), c.u32(), c.u32(), uint64(c.u32())
	}
	block := uint64(p.s.block)
	if size > uint64(maxContent-p.content) {
		return 0, fmt.Errorf("more than %d bytes in all files", maxContent)
	}
	p.content += int64(size)
	count := (size + block - 1) / block
	if f.fragment != none32 {
		count = size / block
		if int64(f.fragment) >= int64(len(p.fragments)/2) || uint64(f.offset)+size%block > block {
			return 0, fmt.Errorf("a file in fragment %d at %d", f.fragment, f.offset)
		}
	}
	if count > uint64(maxBlocks-p.blocks) {
		return 0, fmt.Errorf("more than %d blocks", maxBlocks)
	}
	p.blocks += int(count)
	for range count {
		b := c.u32()
		if c.err != nil {
			return 0, c.err
		}
		f.blocks = append(f.blocks, b)
	}
	f.size = int64(size)
	n.Size, n.Content = f.size, f
	return xattrs, nil
}

// valueElsewhere in the kind of an attribute says that there is a reference to
// the value.
const valueElsewhere = 1 << 8

func (p *reader) attributes(id uint32) ([]tree.Xattr, error) {
	if int64(id) >= int64(len(p.xattrs)/16) {
		return nil, fmt.Errorf("the list of attributes %d", id)
	}
	entry := p.xattrs[16*id:]
	count := little.Uint32(entry[8:])
	c := p.cursor(p.xattrAt, little.Uint64(entry))
	var list []tree.Xattr
	for range count {
		kind, size := c.u16(), c.u16()
		if c.err != nil {
			return nil, c.err
		}
		isElsewhere := kind&valueElsewhere != 0
		kind &^= valueElsewhere
		if int(kind) >= len(prefixes) || size == 0 || size > 255 {
			return nil, fmt.Errorf("an attribute of kind %#x with a name of %d bytes", kind, size)
		}
		name := prefixes[kind] + string(c.bytes(int(size)))
		value := c
		if isElsewhere { // as mksquashfs has equal values
			c.u32()
			value = p.cursor(p.xattrAt, c.u64())
		}
		length := value.u32()
		p.xattrBytes += len(name) + int(length) + 8
		if length > 1<<16 || p.xattrBytes > maxXattrBytes {
			return nil, fmt.Errorf("an attribute of %d bytes, and %d of all", length, p.xattrBytes)
		}
		list = append(list, tree.Xattr{Name: name, Value: string(value.bytes(int(length)))})
		if value.err != nil {
			return nil, value.err
		}
	}
	slices.SortFunc(list, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list, c.err
}

// directory adds what is in a directory, and returns the directories in it.
func (p *reader) directory(d pending) ([]pending, error) {
	if err := p.ctx.Err(); err != nil {
		return nil, err
	}
	var dirs []pending
	if d.dir.listSize == 0 {
		return nil, nil
	}
	c := p.cursor(p.s.dirTable, uint64(d.dir.listBlock)<<16|uint64(d.dir.listAt))
	for left := d.dir.listSize; left > 0; {
		count, block := c.u32(), c.u32()
		c.u32()
		if c.err != nil {
			return nil, c.err
		}
		if count >= maxHeader {
			return nil, fmt.Errorf("%d entries under one header", count)
		}
		left -= 12
		for range count + 1 {
			offset := c.u16()
			c.u32() // the number and the type, which are the inode's, too
			name := string(c.bytes(int(c.u16()) + 1))
			if c.err != nil {
				return nil, c.err
			}
			left -= int64(8 + len(name))
			if left < 0 {
				return nil, errors.New("a list that ends in an entry")
			}
			if err := p.entry(d.path, name, uint64(block)<<16|uint64(offset), &dirs); err != nil {
				return nil, err
			}
		}
	}
	return dirs, nil
}

func (p *reader) entry(dir, name string, reference uint64, dirs *[]pending) error {
	if err := tree.CheckName(name); err != nil {
		return err
	}
	if p.nodes++; p.nodes > maxNodes {
		return fmt.Errorf("more than %d entries", maxNodes)
	}
	path := name
	if dir != "" {
		path = dir + "/" + name
	}
	if first, found := p.met[reference]; found {
		return p.tree.Link(path, first)
	}
	f, err := p.inode(reference)
	if err != nil {
		return fmt.Errorf("%s: %w", tree.Display(name), err)
	}
	p.met[reference] = path
	if f.inode.Mode.IsDir() {
		*dirs = append(*dirs, pending{path, f})
	}
	return p.tree.Add(path, f.inode)
}
