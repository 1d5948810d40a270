package ext4

import (
	"context"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	lostFound  = "lost+found"
	rootInode  = 2
	journalIno = 8
	lostIno    = 11
	firstIno   = 12
	fastLink   = 60
)

// Size is what Write returns, in bytes. No content is read.
func Size(t *tree.Tree, o Options) (int64, error) {
	l, err := plan(t, o)
	if err != nil {
		return 0, fmt.Errorf("planning an ext4 file system: %w", err)
	}
	return l.size(o), nil
}

func (l *layout) size(o Options) int64 {
	if o.Size > 0 {
		return o.Size
	}
	return l.blocks * blockSize
}

// Write writes the tree as a file system to w, from its byte 0 on, and returns
// the size of it in bytes. All of w reads as zeros before, or is a file that is
// empty; what is zero is not written, so that the caller has to set a file's
// size. What ext4 cannot hold is found before a byte is written, but for contents
// that need more than Options.Size. A large content that is a [tree.Sparse], can
// be read at random and is mostly holes is read where it has data, without its
// digest being checked.
func Write(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (int64, error) {
	l, err := plan(t, o)
	if err == nil {
		err = newWriter(w, t, o, l).write(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("writing an ext4 file system: %w", err)
	}
	return l.size(o), nil
}

type writer struct {
	*layout
	w        io.WriterAt
	t        *tree.Tree
	o        Options
	seed     uint32
	ownLost  bool  // the tree has a lost+found
	next     int64 // the next block that may be free
	region   int   // of taken, the first that is not before next
	out      *stream
	inodes   *stream
	lastIno  int64
	dirs     []int64 // in each group
	shared   map[string]*sharedBlock
	order    []*sharedBlock
	journal8 []byte // the journal's inode
}

type sharedBlock struct {
	at   int64
	refs uint32
	data []byte
}

func newWriter(w io.WriterAt, t *tree.Tree, o Options, l *layout) *writer {
	e := &writer{layout: l, w: w, t: t, o: o, seed: crc(1<<32-1, o.UUID[:]), dirs: make([]int64, l.groups), shared: map[string]*sharedBlock{}}
	_, e.ownLost = t.Lookup(lostFound)
	e.out, e.inodes = newStream(w), newStream(w)
	return e
}

var errFull = fmt.Errorf("it does not fit into the size that was asked for: choose a larger one")

// allocate takes the next block that is free.
func (e *writer) allocate() (int64, error) {
	for e.region < len(e.taken) && e.next >= e.taken[e.region].from {
		e.next = max(e.next, e.taken[e.region].to)
		e.region++
	}
	if e.next >= e.blocks {
		return 0, errFull
	}
	e.next++
	return e.next - 1, nil
}

// put writes a block to where allocate said last.
func (e *writer) put(at int64, b []byte) error {
	if err := e.out.seek(at * blockSize); err != nil {
		return err
	}
	_, err := e.out.Write(b)
	return err
}

func (e *writer) number(n tree.Node) uint32 {
	if i := n.InodeIndex(); i > 0 {
		return uint32(firstIno - 1 + i)
	}
	return rootInode
}

func (e *writer) write(ctx context.Context) error {
	if err := e.writeJournal(); err != nil {
		return err
	}
	ahead := tree.ReadAhead(ctx, func(yield func(tree.Node) bool) {
		for n := range e.t.Inodes() {
			if n.Mode().IsRegular() && !yield(n) {
				return
			}
		}
	})
	defer ahead.Close()
	for n := range e.t.Inodes() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.writeNode(n, ahead); err != nil {
			return err
		}
		if n.InodeIndex() == 0 {
			if err := e.writeSpecial(); err != nil {
				return err
			}
		}
	}
	if err := e.out.flush(); err != nil {
		return err
	}
	if err := e.inodes.flush(); err != nil {
		return err
	}
	for _, s := range e.order {
		le.PutUint32(s.data[4:], s.refs)
		sum := crc(crc(e.seed, le.AppendUint64(nil, uint64(s.at))), s.data)
		le.PutUint32(s.data[16:], sum)
		if _, err := e.w.WriteAt(s.data, s.at*blockSize); err != nil {
			return err
		}
	}
	return e.writeGroups()
}

// writeNode writes what an inode has and the inode.
func (e *writer) writeNode(n tree.Node, ahead *tree.Ahead) error {
	inode := n.Inode()
	i := &diskInode{number: e.number(n), mode: inode.Mode, uid: inode.UID, gid: inode.GID, time: inode.ModTime, links: n.LinkCount()}
	i.seed = crc32of(crc32of(e.seed, i.number), 0)
	var err error
	switch inode.Mode.Type() {
	case tree.Directory:
		err = e.directory(n, i)
	case tree.Regular:
		i.size = inode.Size
		err = e.file(n, i, ahead)
	case tree.Symlink:
		i.size = int64(len(inode.Target))
		if i.size < fastLink {
			copy(i.block[:], inode.Target)
			i.noExtents = true
		} else {
			b := make([]byte, blockSize)
			copy(b, inode.Target)
			err = e.blocksOf(i, [][]byte{b})
		}
	default:
		i.noExtents = true
		i.device(&inode)
	}
	if err == nil {
		err = e.attributes(&inode, i)
	}
	if err == nil {
		err = e.finish(i)
	}
	if err == errFull {
		return tree.Unsupported("ext4", n.Path(), err.Error())
	}
	return err
}

func (e *writer) directory(n tree.Node, i *diskInode) error {
	list := []entry{{name: ".", ino: i.number, kind: 2}, {name: "..", ino: e.number(n.Parent()), kind: 2}}
	for c := range n.Children() {
		list = append(list, entry{name: c.Name(), ino: e.number(c), kind: kinds[c.Mode().Type()]})
	}
	if i.number == rootInode && !e.ownLost {
		list = append(list, entry{name: lostFound, ino: lostIno, kind: 2})
		i.links++
	}
	if i.links > maxLinks {
		i.links = 1
	}
	blocks, hashed := directory(i.seed, e.o.HashSeed, list)
	if blocks == nil {
		return tree.Unsupported("ext4", n.Path(), "a directory of so many entries")
	}
	if hashed {
		i.flags |= flagIndex
	}
	i.size = int64(len(blocks)) * blockSize
	return e.blocksOf(i, blocks)
}

// blocksOf gives an inode blocks.
func (e *writer) blocksOf(i *diskInode, blocks [][]byte) error {
	for k, b := range blocks {
		at, err := e.allocate()
		if err != nil {
			return err
		}
		i.add(int64(k), at)
		if err := e.put(at, b); err != nil {
			return err
		}
	}
	return nil
}

// attributes puts extended attributes into the inode and a block.
func (e *writer) attributes(inode *tree.Inode, i *diskInode) error {
	list, _ := attributes(inode)
	var rest []attribute
	if i.inline, rest, _ = splitAttributes(list); len(rest) == 0 {
		return nil
	}
	data := xattrBlock(rest)
	s := e.shared[string(data)]
	if s == nil || s.refs == 1024 {
		at, err := e.allocate()
		if err != nil {
			return err
		}
		s = &sharedBlock{at: at, data: data}
		e.shared[string(data)] = s
		e.order = append(e.order, s)
	}
	s.refs++
	i.acl = s.at
	i.used++
	return nil
}

// writeSpecial writes the journal's inode and lost+found, which come after the
// root's.
func (e *writer) writeSpecial() error {
	if e.journal8 != nil {
		if err := e.writeInode(journalIno, e.journal8); err != nil {
			return err
		}
	}
	if e.ownLost {
		return nil
	}
	i := &diskInode{number: lostIno, mode: tree.Directory | 0o700, time: e.o.Time, links: 2, size: blockSize}
	i.seed = crc32of(crc32of(e.seed, i.number), 0)
	b := fillLeaf(i.seed, []entry{{name: ".", ino: lostIno, kind: 2}, {name: "..", ino: rootInode, kind: 2}})
	if err := e.blocksOf(i, [][]byte{b}); err != nil {
		return err
	}
	return e.finish(i)
}

// finish writes the rest of an inode's extents, and it.
func (e *writer) finish(i *diskInode) error {
	if err := e.extents(i); err != nil {
		return err
	}
	if i.mode.IsDir() {
		e.dirs[int64(i.number-1)/e.perGroup]++
	}
	return e.writeInode(i.number, i.encode())
}

func (e *writer) writeInode(number uint32, b []byte) error {
	k := int64(number - 1)
	e.lastIno = max(e.lastIno, int64(number))
	at := e.table[k/e.perGroup]*blockSize + k%e.perGroup*inodeSize
	if err := e.inodes.seek(at); err != nil {
		return err
	}
	_, err := e.inodes.Write(b)
	return err
}
