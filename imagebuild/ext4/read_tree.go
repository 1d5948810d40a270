package ext4

import (
	"errors"
	"io"
	"sort"

	"github.com/samebits/samebits/imagebuild/tree"
)

// content is a file's bytes on the volume.
type content struct {
	r    io.ReaderAt
	size int64
	unit int64 // bytes in a block
	list []extent
}

// Extents implements [tree.Sparse].
func (c *content) Extents() (list []tree.Extent) {
	for _, x := range c.list {
		list = append(list, tree.Extent{Offset: x.logical * c.unit, Length: min(x.count*c.unit, c.size-x.logical*c.unit)})
	}
	return list
}

// Open implements [tree.Content].
func (c *content) Open() (io.ReadCloser, error) {
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(c, 0, c.size), io.NopCloser(nil)}, nil
}

// ReadAt implements [io.ReaderAt].
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), c.size-off)))
	clear(p[:n])
	k := sort.Search(len(c.list), func(k int) bool { return (c.list[k].logical+c.list[k].count)*c.unit > off })
	for ; k < len(c.list); k++ {
		x := c.list[k]
		from, to := max(off, x.logical*c.unit), min(off+int64(n), (x.logical+x.count)*c.unit)
		if from >= to {
			break
		}
		if got, err := c.r.ReadAt(p[from-off:to-off], from+(x.physical-x.logical)*c.unit); int64(got) < to-from {
			return 0, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (p *reader) content(i *readInode) (*content, error) {
	list, err := p.extents(i)
	return &content{p.r, i.size, p.blockSize, list}, err
}

type found struct {
	path   string
	number uint32
}

// all reads the whole tree.
func (p *reader) all() (*tree.Tree, error) {
	for todo := []found{{"", rootInode}}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		more, err := p.node(next)
		if err != nil {
			return nil, &tree.PathError{Path: next.path, Err: err}
		}
		todo = append(todo, more...)
	}
	return p.tree.Freeze(p.ctx)
}

// node puts one path into the tree, and returns what is in it.
func (p *reader) node(f found) ([]found, error) {
	if p.seen++; p.seen > maxNodes {
		return nil, errors.New("too many files")
	}
	if first, met := p.first[f.number]; met {
		return nil, p.tree.Link(f.path, first)
	}
	i, err := p.inode(f.number)
	if err != nil {
		return nil, err
	}
	var list []found
	switch i.Mode.Type() {
	case tree.Directory:
		if list, err = p.list(i, f.path); err == nil && f.path == lostFound && f.number == lostIno && len(list) == 0 {
			return nil, nil
		}
	case tree.Regular:
		if p.bytesLeft -= i.size; p.bytesLeft < 0 {
			return nil, errors.New("holes that are too large")
		}
		i.Size = i.size
		i.Content, err = p.content(i)
	case tree.Symlink:
		i.Target, err = p.target(i)
	case tree.CharDev, tree.BlockDev:
		dev := le.Uint32(i.raw[0x28:])
		i.Major, i.Minor = dev>>8&0xFF, dev&0xFF
		if dev == 0 {
			dev = le.Uint32(i.raw[0x2C:])
			i.Major, i.Minor = dev>>8&0xFFF, dev&0xFF|dev>>12&^0xFF
		}
	}
	if err != nil {
		return nil, err
	}
	p.first[f.number] = f.path
	if f.path == "" {
		return list, p.tree.Set("", i.Inode)
	}
	return list, p.tree.Add(f.path, i.Inode)
}

func (p *reader) target(i *readInode) (string, error) {
	if i.size > tree.MaxPath {
		return "", errors.New("a target that is too long")
	}
	if !i.has(flagExtents) && i.size < fastLink {
		return string(i.raw[0x28 : 0x28+i.size]), nil
	}
	c, err := p.content(i)
	if err != nil {
		return "", err
	}
	b := make([]byte, i.size)
	_, err = io.ReadFull(io.NewSectionReader(c, 0, i.size), b)
	return string(b), err
}

// list is what is in a directory.
func (p *reader) list(i *readInode, path string) (list []found, err error) {
	c, err := p.content(i)
	if err != nil {
		return nil, err
	}
	if i.size > maxDir || i.size%p.blockSize != 0 {
		return nil, errors.New("a directory of a wrong size")
	}
	if path != "" {
		path += "/"
	}
	b := make([]byte, p.blockSize)
	for at := int64(0); at < i.size; at += p.blockSize {
		if n, err := c.ReadAt(b, at); n < len(b) {
			return nil, err
		}
		for e := b; len(e) > 0; {
			size := 0
			if len(e) >= 8 {
				size = int(le.Uint16(e[4:]))
			}
			if size < 8 || size > len(e) || size%4 != 0 || 8+int(e[6]) > size {
				return nil, errors.New("a wrong entry of a directory")
			}
			name := string(e[8 : 8+int(e[6])])
			if number := le.Uint32(e); number != 0 && name != "." && name != ".." {
				if err := tree.CheckName(name); err != nil {
					return nil, err
				}
				if len(list) >= maxNodes {
					return nil, errors.New("too many files")
				}
				list = append(list, found{path + name, number})
			}
			e = e[size:]
		}
	}
	return list, nil
}
