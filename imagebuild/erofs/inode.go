package erofs

import "github.com/samebits/samebits/imagebuild/tree"

// appendInode appends an inode with its attributes. data is what the layout has
// in it: an address, a number of blocks, a device or the form of chunks.
func (l *layout) appendInode(b []byte, n tree.Node, size int64, layout uint8, data uint32) []byte {
	inode, p := n.Inode(), &l.places[n.InodeIndex()]
	format := uint16(layout) << 1
	if p.extended {
		format |= 1
	}
	count := uint16(0)
	if p.xattrs > 0 {
		count = uint16((p.xattrs-xattrHead)/4 + 1)
	}
	b = little.AppendUint16(b, format)
	b = little.AppendUint16(b, count)
	b = little.AppendUint16(b, uint16(inode.Mode))
	if p.extended {
		b = little.AppendUint16(b, 0)
		b = little.AppendUint64(b, uint64(size))
	} else {
		b = little.AppendUint16(b, uint16(n.LinkCount()))
		b = little.AppendUint32(b, uint32(size))
		b = little.AppendUint32(b, 0)
	}
	b = little.AppendUint32(b, data)
	b = little.AppendUint32(b, uint32(n.InodeIndex()+1))
	if p.extended {
		b = little.AppendUint32(b, inode.UID)
		b = little.AppendUint32(b, inode.GID)
		b = little.AppendUint64(b, uint64(inode.ModTime.Sec))
		b = little.AppendUint32(b, inode.ModTime.Nsec)
		b = little.AppendUint32(b, uint32(n.LinkCount()))
		b = append(b, make([]byte, 16)...)
	} else {
		b = little.AppendUint16(b, uint16(inode.UID))
		b = little.AppendUint16(b, uint16(inode.GID))
		b = little.AppendUint32(b, 0)
	}
	return appendXattrs(b, inode.Xattrs)
}

// entries goes through a directory's entries in the order of their names'
// bytes, with the two that lead to itself and its parent.
func entries(n tree.Node, yield func(name string, of tree.Node)) {
	special := []struct {
		name string
		of   tree.Node
	}{{".", n}, {"..", n.Parent()}}
	for child := range n.Children() {
		for len(special) > 0 && special[0].name < child.Name() {
			yield(special[0].name, special[0].of)
			special = special[1:]
		}
		yield(child.Name(), child)
	}
	for _, s := range special {
		yield(s.name, s.of)
	}
}

func directorySize(n tree.Node) int64 {
	var full, used int64
	entries(n, func(name string, _ tree.Node) {
		size := int64(direntSize + len(name))
		if used+size > blockSize {
			full += blockSize
			used = 0
		}
		used += size
	})
	return full + used
}

// directory is the data of a directory.
func (l *layout) directory(n tree.Node) []byte {
	var out, heads, names []byte
	flush := func() {
		for i := 0; i < len(heads); i += direntSize {
			at := little.Uint16(heads[i+8:])
			little.PutUint16(heads[i+8:], at+uint16(len(heads)))
		}
		out = append(append(out, heads...), names...)
		heads, names = heads[:0], names[:0]
	}
	entries(n, func(name string, of tree.Node) {
		if len(heads)+len(names)+direntSize+len(name) > blockSize {
			flush()
			out = append(out, make([]byte, roundUp(int64(len(out)), blockSize)-int64(len(out)))...)
		}
		heads = little.AppendUint64(heads, l.places[of.InodeIndex()].id())
		heads = little.AppendUint16(heads, uint16(len(names)))
		heads = append(heads, fileType(of.Mode()), 0)
		names = append(names, name...)
	})
	flush()
	return out
}
