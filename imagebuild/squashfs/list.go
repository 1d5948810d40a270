package squashfs

import "github.com/samebits/samebits/imagebuild/tree"

// list is where a directory's entries are.
type list struct {
	block      uint32
	offset     uint16
	size       int64
	numIndexes uint16
	indexes    []byte
}

// list writes the entries of a directory: runs of them under a header that tells
// what they have in common. A run that begins in another block of metadata than
// the one before is in the index.
func (w *inodes) list(n tree.Node) list {
	var l list
	l.block, l.offset = w.lists.at()
	lastBlock := l.block
	var run []tree.Node
	flush := func() {
		if len(run) == 0 {
			return
		}
		if block, _ := w.lists.at(); block != lastBlock && l.numIndexes < 1<<16-1 {
			lastBlock = block
			name := run[0].Name()
			l.numIndexes++
			for _, v := range []uint32{uint32(l.size), block, uint32(len(name) - 1)} {
				l.indexes = little.AppendUint32(l.indexes, v)
			}
			l.indexes = append(l.indexes, name...)
		}
		b := w.run(run)
		w.lists.write(b)
		l.size += int64(len(b))
		run = run[:0]
	}
	size := 0
	for child := range n.Children() {
		_, offset := w.lists.at()
		if len(run) > 0 && (len(run) == maxHeader || !w.joins(run[0], child) || int(offset)+size > metaSize) {
			flush()
			size = 0
		}
		run = append(run, child)
		size += 8 + len(child.Name())
	}
	flush()
	return l
}

// joins reports whether an entry may stand under a header that another began.
func (w *inodes) joins(first, n tree.Node) bool {
	d := n.InodeIndex() - first.InodeIndex()
	return w.places[first.InodeIndex()]>>16 == w.places[n.InodeIndex()]>>16 && d >= -1<<15 && d < 1<<15
}

func (w *inodes) run(run []tree.Node) []byte {
	first := run[0]
	b := little.AppendUint32(nil, uint32(len(run)-1))
	b = little.AppendUint32(b, uint32(w.places[first.InodeIndex()]>>16))
	b = little.AppendUint32(b, number(first))
	for _, n := range run {
		b = little.AppendUint16(b, uint16(w.places[n.InodeIndex()]))
		b = little.AppendUint16(b, uint16(n.InodeIndex()-first.InodeIndex()))
		b = little.AppendUint16(b, typeOf(n.Mode()))
		b = little.AppendUint16(b, uint16(len(n.Name())-1))
		b = append(b, n.Name()...)
	}
	return b
}
