package squashfs

import (
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

// inodes writes the tables of inodes and directories.
type inodes struct {
	o       *Options
	files   []*stored
	table   *meta
	lists   *meta
	xattrs  *xattrs
	ids     []uint32
	idIndex map[uint32]uint16
	places  []uint64 // of inodes, by Node.InodeIndex; none64 until they are written
}

func newInodes(t *tree.Tree, o *Options, files []*stored) *inodes {
	c := o.newCompressor()
	w := &inodes{o: o, files: files, table: newMeta(c), lists: newMeta(c), xattrs: newXattrs(c),
		idIndex: map[uint32]uint16{}, places: make([]uint64, t.NumInodes())}
	for i := range w.places {
		w.places[i] = none64
	}
	return w
}

// directory writes what is in a directory, and then itself, since entries lead
// to what is written.
func (w *inodes) directory(n tree.Node) error {
	for child := range n.Children() {
		if child.Mode().IsDir() {
			if err := w.directory(child); err != nil {
				return err
			}
		}
	}
	for child := range n.Children() {
		if w.places[child.InodeIndex()] == none64 {
			w.place(child)
			w.table.write(w.inode(child))
		}
	}
	l := w.list(n)
	if l.size+moreThanList >= 1<<32 {
		return tree.Unsupported("squashfs", n.Path(), fmt.Sprintf("a directory of %d bytes", l.size))
	}
	w.place(n)
	w.table.write(w.directoryInode(n, l))
	return nil
}

func (w *inodes) place(n tree.Node) { w.places[n.InodeIndex()] = w.table.reference() }

func number(n tree.Node) uint32 { return uint32(n.InodeIndex() + 1) }

func (w *inodes) id(id uint32) uint16 {
	i, found := w.idIndex[id]
	if !found {
		i = uint16(len(w.ids))
		w.idIndex[id] = i
		w.ids = append(w.ids, id)
	}
	return i
}

// head is what all inodes begin with.
func (w *inodes) head(n tree.Node, isExtended bool) []byte {
	inode := n.Inode()
	kind := typeOf(inode.Mode)
	if isExtended {
		kind += typeExtended
	}
	b := little.AppendUint16(nil, kind)
	b = little.AppendUint16(b, uint16(inode.Mode.Bits()))
	b = little.AppendUint16(b, w.id(inode.UID))
	b = little.AppendUint16(b, w.id(inode.GID))
	b = little.AppendUint32(b, uint32(min(max(inode.ModTime.Sec, 0), maxTime)))
	return little.AppendUint32(b, number(n))
}

// inode is that of anything but a directory.
func (w *inodes) inode(n tree.Node) []byte {
	inode := n.Inode()
	xattrs := w.xattrs.id(w.o.kept(inode.Xattrs))
	if inode.Mode.IsRegular() {
		return w.file(n, xattrs)
	}
	b := w.head(n, xattrs != none32)
	b = little.AppendUint32(b, uint32(n.LinkCount()))
	switch {
	case inode.Mode.Type() == tree.Symlink:
		b = little.AppendUint32(b, uint32(len(inode.Target)))
		b = append(b, inode.Target...)
	case inode.Mode.IsDevice():
		b = little.AppendUint32(b, deviceNumber(inode.Major, inode.Minor))
	}
	if xattrs != none32 {
		b = little.AppendUint32(b, xattrs)
	}
	return b
}

func (w *inodes) file(n tree.Node, xattrs uint32) []byte {
	s, size := w.files[n.InodeIndex()], uint64(n.Inode().Size)
	isExtended := xattrs != none32 || n.LinkCount() > 1 || s.sparse > 0 || s.start >= 1<<32 || size >= 1<<32
	b := w.head(n, isExtended)
	if isExtended {
		b = little.AppendUint64(b, s.start)
		b = little.AppendUint64(b, size)
		b = little.AppendUint64(b, s.sparse)
		for _, v := range []uint32{uint32(n.LinkCount()), s.fragment, s.offset, xattrs} {
			b = little.AppendUint32(b, v)
		}
	} else {
		for _, v := range []uint32{uint32(s.start), s.fragment, s.offset, uint32(size)} {
			b = little.AppendUint32(b, v)
		}
	}
	for _, size := range s.blocks {
		b = little.AppendUint32(b, size)
	}
	return b
}

func (w *inodes) directoryInode(n tree.Node, l list) []byte {
	xattrs := w.xattrs.id(w.o.kept(n.Inode().Xattrs))
	parent := number(n.Parent())
	if n.Path() == "" {
		parent = uint32(len(w.places) + 1) // as mksquashfs has it: none that there is
	}
	size := l.size + moreThanList
	isExtended := xattrs != none32 || size >= 1<<16 || l.numIndexes > 0
	b := w.head(n, isExtended)
	if !isExtended {
		b = little.AppendUint32(b, l.block)
		b = little.AppendUint32(b, uint32(n.LinkCount()))
		b = little.AppendUint16(b, uint16(size))
		b = little.AppendUint16(b, l.offset)
		return little.AppendUint32(b, parent)
	}
	for _, v := range []uint32{uint32(n.LinkCount()), uint32(size), l.block, parent} {
		b = little.AppendUint32(b, v)
	}
	b = little.AppendUint16(b, l.numIndexes)
	b = little.AppendUint16(b, l.offset)
	return append(little.AppendUint32(b, xattrs), l.indexes...)
}
