package ext4

import (
	"errors"
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

// span is blocks from one up to another, without that.
type span struct{ from, to int64 }

// layout says where the tables are.
type layout struct {
	blocks, groups, perGroup int64 // inodes per group
	descBlocks               int64
	journal, reserved        int64
	blockMap, inodeMap       []int64 // the bitmaps of each group
	table                    []int64 // the inode table of each
	taken                    []span  // what is not for contents, in order
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

// hasSuper reports whether a group has a copy of the superblock.
func hasSuper(group int64) bool {
	if group <= 1 {
		return true
	}
	for _, p := range []int64{3, 5, 7} {
		n := p
		for n < group {
			n *= p
		}
		if n == group {
			return true
		}
	}
	return false
}

// newLayout lays out a file system of so many blocks or somewhat fewer. What is
// short tells whether the last group has no room for what it must have.
func newLayout(blocks, inodes int64, o Options) (l *layout, short bool) {
	l = &layout{blocks: blocks, groups: ceil(blocks, groupBlocks)}
	ratio := o.BytesPerInode
	if ratio == 0 {
		ratio = 16384
	}
	inodes = max(inodes, blocks*blockSize/ratio)
	l.perGroup = min(ceil(ceil(inodes, l.groups), inodesPerBlock)*inodesPerBlock, groupBlocks)
	l.descBlocks = ceil(l.groups*descSize, blockSize)
	l.journal = o.journalBlocks(blocks)
	l.reserved = blocks / 100 * int64(o.Reserved)
	next := int64(0)
	place := func(n int64) int64 {
		for g := next / groupBlocks; g <= (next+n-1)/groupBlocks; g++ {
			if from := g * groupBlocks; hasSuper(g) && next < from+1+l.descBlocks && next+n > from {
				next = from + 1 + l.descBlocks
			}
		}
		next += n
		return next - n
	}
	for flex := int64(0); flex < l.groups; flex += flexGroups {
		next = max(next, flex*groupBlocks)
		end := min(flex+flexGroups, l.groups)
		for range end - flex {
			l.blockMap = append(l.blockMap, place(1))
		}
		for range end - flex {
			l.inodeMap = append(l.inodeMap, place(1))
		}
		for range end - flex {
			l.table = append(l.table, place(l.perGroup/inodesPerBlock))
		}
	}
	last := (l.groups - 1) * groupBlocks
	if hasSuper(l.groups - 1) {
		last += 1 + l.descBlocks
	}
	short = next+16 > blocks || last+16 > blocks
	l.take()
	return l, short
}

// take collects what is taken.
func (l *layout) take() {
	super := int64(0)
	add := func(from, n int64) {
		for ; super < l.groups && super*groupBlocks <= from; super++ {
			if hasSuper(super) {
				l.join(super*groupBlocks, 1+l.descBlocks)
			}
		}
		l.join(from, n)
	}
	for flex := int64(0); flex < l.groups; flex += flexGroups {
		end := min(flex+flexGroups, l.groups)
		for _, at := range l.blockMap[flex:end] {
			add(at, 1)
		}
		for _, at := range l.inodeMap[flex:end] {
			add(at, 1)
		}
		for _, at := range l.table[flex:end] {
			add(at, l.perGroup/inodesPerBlock)
		}
	}
	for ; super < l.groups; super++ {
		if hasSuper(super) {
			l.join(super*groupBlocks, 1+l.descBlocks)
		}
	}
}

func (l *layout) join(from, n int64) {
	if k := len(l.taken); k > 0 && l.taken[k-1].to == from {
		l.taken[k-1].to += n
		return
	}
	l.taken = append(l.taken, span{from, from + n})
}

func (l *layout) overhead() (n int64) {
	for _, s := range l.taken {
		n += s.to - s.from
	}
	return n + l.journal + ceil(l.journal, 1<<22)
}

// plan chooses a layout for a tree.
func plan(t *tree.Tree, o Options) (*layout, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	need, err := contents(t)
	if err != nil {
		return nil, err
	}
	inodes := int64(t.NumInodes()) + 11
	if o.Size > 0 {
		return planSize(o.Size/blockSize, inodes, o)
	}
	want := need + ceil(o.Free, blockSize)
	for blocks := want; blocks <= maxSize/blockSize; {
		l, short := newLayout(blocks, inodes, o)
		more := want + l.overhead() + l.reserved
		if more <= blocks && !short && l.groups*l.perGroup >= inodes {
			return l, nil
		}
		blocks = max(more, blocks+16)
	}
	return nil, fmt.Errorf("the tree needs more than 16 TiB: %w", errors.ErrUnsupported)
}

func planSize(blocks, inodes int64, o Options) (*layout, error) {
	for blocks >= 64 {
		l, short := newLayout(blocks, inodes, o)
		if l.groups*l.perGroup < inodes {
			break
		}
		if !short && l.overhead() < blocks {
			return l, nil
		}
		blocks = (l.groups - 1) * groupBlocks
	}
	return nil, tree.Unsupported("ext4", "", fmt.Sprintf("the tree's %d inodes in a size of %d bytes: choose a larger one", inodes-11, o.Size))
}

// contents checks all that is known before contents are read, and counts the
// blocks that the tree takes at most.
func contents(t *tree.Tree) (int64, error) {
	total := int64(1) // lost+found
	if n, found := t.Lookup(lostFound); found && !n.Mode().IsDir() {
		return 0, tree.Unsupported("ext4", lostFound, "a lost+found that is no directory")
	}
	for n := range t.Inodes() {
		inode := n.Inode()
		list, what := attributes(&inode)
		if what != "" {
			return 0, tree.Unsupported("ext4", n.Path(), what)
		}
		if err := n.CheckOwner("ext4"); err != nil {
			return 0, err
		}
		_, block, fits := splitAttributes(list)
		switch {
		case !fits:
			what = "extended attributes that are larger than a block"
		case inode.ModTime.Sec < minTime || inode.ModTime.Sec > maxTime:
			what = "a time outside of 1901 to 2446"
		case !inode.Mode.IsDir() && n.LinkCount() > maxLinks:
			what = "more than 65,000 links"
		case inode.Major >= 1<<12 || inode.Minor >= 1<<20:
			what = fmt.Sprintf("a device number that large: %d:%d; at most 4095:1048575 is possible", inode.Major, inode.Minor)
		case inode.Size > (1<<32-1)*blockSize:
			what = "a file of 16 TiB"
		}
		if what != "" {
			return 0, tree.Unsupported("ext4", n.Path(), what)
		}
		if len(block) > 0 {
			total++
		}
		switch inode.Mode.Type() {
		case tree.Directory:
			blocks := directoryBlocks(n, 20)
			total += blocks + blocks>>14
		case tree.Regular:
			blocks := ceil(inode.Size, blockSize)
			total += blocks
			if blocks > 1<<14 {
				total += 2 + blocks>>14
			}
		case tree.Symlink:
			if len(inode.Target) >= fastLink {
				total++
			}
		}
	}
	return total, nil
}
