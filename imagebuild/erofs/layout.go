package erofs

import (
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

// place is where an inode is and how its data is stored.
type place struct {
	at       int64 // of the inode, in bytes
	start    int64 // the first block of the data, where it is known before
	xattrs   int32 // bytes
	inline   int32 // bytes of the data's end that follow the inode
	layout   uint8
	extended bool
	streamed bool // what follows the inode comes when the content is read
}

func (p *place) inodeSize() int64 {
	if p.extended {
		return extendedInode
	}
	return compactInode
}

func (p *place) id() uint64 { return uint64(p.at / slotSize) }

// layout is where everything is, found before a byte is written. The inodes come
// first, then the blocks of directories and small files, then what is
// streamed: larger files, which may be compressed or have holes.
type layout struct {
	o      *Options
	places []place // by Node.InodeIndex
	slots  slots
	blocks int64 // of all but what is streamed
}

// smallest is the size from which on files are streamed.
func (o *Options) smallest() int64 {
	if o.Compression == None {
		return 128 << 10
	}
	return blockSize + 1
}

func newLayout(t *tree.Tree, o *Options) (*layout, error) {
	l := &layout{o: o, places: make([]place, t.NumInodes()), slots: slots{end: rootAt}}
	sizes := make([]int64, len(l.places))
	for n := range t.Inodes() {
		size, err := l.put(n, &l.places[n.InodeIndex()])
		if err != nil {
			return nil, err
		}
		sizes[n.InodeIndex()] = size
	}
	l.blocks = roundUp(l.slots.end, blockSize) / blockSize
	for i := range l.places {
		if p := &l.places[i]; !p.streamed && sizes[i] > 0 {
			p.start = l.blocks
			l.blocks += roundUp(sizes[i]-int64(p.inline), blockSize) / blockSize
		}
	}
	return l, l.checkSize(l.blocks)
}

func (l *layout) checkSize(blocks int64) error {
	if blocks > maxBlocks {
		return fmt.Errorf("the file system has more than %d blocks of %d bytes: make it smaller", int64(maxBlocks), blockSize)
	}
	return nil
}

// put finds the place of an inode, and the size of its data.
func (l *layout) put(n tree.Node, p *place) (int64, error) {
	inode := n.Inode()
	xattrs, err := checkXattrs(n.Path(), inode.Xattrs)
	if err != nil {
		return 0, err
	}
	if err := n.CheckOwner("EROFS"); err != nil {
		return 0, err
	}
	p.xattrs = int32(xattrs)
	var size int64
	switch inode.Mode.Type() {
	case tree.Regular:
		size = inode.Size
		p.streamed = size >= l.o.smallest()
	case tree.Directory:
		size = directorySize(n)
	case tree.Symlink:
		size = int64(len(inode.Target))
	case tree.CharDev, tree.BlockDev:
		if inode.Major > maxMajor || inode.Minor > maxMinor {
			return 0, tree.Unsupported("EROFS", n.Path(), fmt.Sprintf("the device number %d:%d; at most %d:%d is possible", inode.Major, inode.Minor, maxMajor, maxMinor))
		}
	}
	p.extended = inode.ModTime != l.o.BuildTime || inode.UID > 1<<16-1 || inode.GID > 1<<16-1 ||
		size > 1<<32-1 || n.LinkCount() > 1<<16-1
	used := p.inodeSize() + xattrs
	switch tail := size % blockSize; {
	case p.streamed && l.o.Compression != None:
		used = roundUp(used, indexSize) + mapHead + indexSize*(roundUp(size, blockSize)/blockSize)
	case p.streamed:
		used += 4 * ((size-1)>>chunkBits(size) + 1)
	case tail > 0 && used+tail <= blockSize:
		p.layout, p.inline = layoutInline, int32(tail)
		used += tail
	}
	p.at = l.slots.take(used)
	return size, nil
}

// chunkBits is the logarithm of the size of the chunks of a file that may have
// holes: so large that there are at most 16,384 of them.
func chunkBits(size int64) int {
	bits := blockBits
	for (size-1)>>bits >= 16<<10 && bits < blockBits+31 {
		bits++
	}
	return bits
}

// slots gives room to inodes. What is of a block's size at most is inside one
// block, in the fullest that has room.
type slots struct {
	end int64
	// free are, for each number of slots, the ends of what is used of blocks
	// that have so many left.
	free [blockSize / slotSize][]int64
}

func (s *slots) take(size int64) int64 {
	const inBlock = blockSize / slotSize
	count := roundUp(size, slotSize) / slotSize
	if count > inBlock {
		at := s.end
		s.end += count * slotSize
		return at
	}
	for left := count; left < inBlock; left++ {
		if last := len(s.free[left]) - 1; last >= 0 {
			at := s.free[left][last]
			s.free[left] = s.free[left][:last]
			s.leave(at + count*slotSize)
			return at
		}
	}
	if left := (blockSize - s.end%blockSize) / slotSize; left < count {
		s.leave(s.end)
		s.end = roundUp(s.end, blockSize)
	}
	at := s.end
	s.end += count * slotSize
	return at
}

// leave keeps what is left of the block behind at.
func (s *slots) leave(at int64) {
	if rest := at % blockSize; rest != 0 {
		left := (blockSize - rest) / slotSize
		s.free[left] = append(s.free[left], at)
	}
}
