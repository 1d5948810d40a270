package iso

import (
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	maxDirs   = 1<<16 - 1
	maxExtent = 0xFFFFF800 // bytes

	flagDirectory = 2
	flagMore      = 0x80 // of all extents of a file but the last

	primarySector    = 16
	bootRecordSector = 17
)

// directory is one with its place.
type directory struct {
	node    tree.Node
	id      string
	parent  *directory
	number  int // in the path tables, from 1 on
	entries []entry
	sector  int64
	size    int64 // bytes, of whole sectors
}

// layout is where everything is.
type layout struct {
	o          Options
	dirs       []*directory       // in the order of the path tables
	byNode     map[int]*directory // by Node.Index
	contents   []int64            // sectors, by Node.InodeIndex
	end        int64              // of the contents, a sector
	total      int64              // sectors
	pathSize   int64              // bytes of one path table
	overflow   overflow
	catalog    int64
	bios, uefi int64
}

// newLayout checks the whole tree before a byte is written.
func newLayout(t *tree.Tree, o Options) (*layout, error) {
	for n := range t.All() {
		if err := check(n, o); err != nil {
			return nil, err
		}
	}
	l := &layout{o: o, byNode: map[int]*directory{}, contents: make([]int64, t.NumInodes())}
	if err := l.directories(t.Root()); err != nil {
		return nil, err
	}
	boot := int64(0)
	if o.BIOS != nil || o.UEFI != nil {
		boot = 1
	}
	next := int64(primarySector + 2 + boot)
	next += 2 * sectors(l.pathSize)
	for _, d := range l.dirs {
		d.sector = next
		d.size = l.measure(d)
		next += d.size / sectorSize
	}
	l.overflow.start = next
	next += sectors(l.overflow.size)
	l.overflow.size = 0
	l.catalog = next
	next += boot
	if o.BIOS != nil {
		l.bios = next
		next += sectors(o.BIOS.Size)
	}
	if o.UEFI != nil {
		l.uefi = next
		next += sectors(o.UEFI.Size)
	}
	for n := range t.Inodes() {
		if size := n.Inode().Size; size > 0 {
			l.contents[n.InodeIndex()] = next
			next += sectors(size)
		}
	}
	l.end = next
	l.total = next + sectors(o.Reserve)
	if l.total > maxSectors {
		return nil, fmt.Errorf("it takes %d bytes: at most 8 TiB are possible", l.total*sectorSize)
	}
	return l, nil
}

// directories finds them all, in the order of the path tables: by depth, then by
// the parent's number, then by identifier.
func (l *layout) directories(root tree.Node) error {
	first := &directory{node: root, id: "\x00", number: 1}
	first.parent = first
	l.dirs = []*directory{first}
	for i := 0; i < len(l.dirs); i++ {
		d := l.dirs[i]
		l.byNode[d.node.Index()] = d
		l.pathSize += 8 + int64(len(d.id)+len(d.id)&1)
		d.entries = entries(d.node)
		for _, e := range d.entries {
			if !e.node.Mode().IsDir() {
				continue
			}
			if len(l.dirs) == maxDirs {
				return unsupported(e.node, fmt.Sprintf("more than %d directories", maxDirs))
			}
			l.dirs = append(l.dirs, &directory{node: e.node, id: e.id.String(), parent: d, number: len(l.dirs) + 1})
		}
	}
	return nil
}

// measure is the size of a directory, whose entries' overflow it takes room for.
func (l *layout) measure(d *directory) int64 { return int64(len(l.records(d))) }

func unsupported(n tree.Node, what string) error { return tree.Unsupported("ISO 9660", n.Path(), what) }

// check reports what the format cannot hold of a node.
func check(n tree.Node, o Options) error {
	inode := n.Inode()
	switch {
	case len(n.Name()) > maxRockName:
		return unsupported(n, fmt.Sprintf("a name of %d bytes; Linux reads at most %d", len(n.Name()), maxRockName))
	case inode.Mode.IsDevice() && inode.Major == 0 && inode.Minor > 255:
		return unsupported(n, fmt.Sprintf("the device 0,%d, which Linux takes for another", inode.Minor))
	case len(inode.Xattrs) > 0 && !o.DropXattrs:
		return unsupported(n, fmt.Sprintf("the extended attribute %q", inode.Xattrs[0].Name))
	case clamp(inode.ModTime) != inode.ModTime && !o.ClampTimes:
		return unsupported(n, "the time "+inode.ModTime.Time().String()+"; it must be from 1900 to 2155")
	}
	return n.CheckOwner("ISO 9660")
}

// records are the bytes of a directory.
func (l *layout) records(d *directory) []byte {
	var b []byte
	add := func(record []byte) {
		if within := len(b) % sectorSize; within+len(record) > sectorSize {
			b = append(b, make([]byte, sectorSize-within)...)
		}
		b = append(b, record...)
	}
	self := posix(d.node)
	if d.parent == d {
		self = append([][]byte{susp("SP", 1, []byte{0xBE, 0xEF, 0})}, self...)
		self = append(self, extensions())
	}
	add(l.record("\x00", d.node, place{d.sector, d.size, flagDirectory}, self))
	add(l.record("\x01", d.parent.node, place{d.parent.sector, d.parent.size, flagDirectory}, posix(d.parent.node)))
	for _, e := range d.entries {
		list := append(alternate(e.node.Name()), posix(e.node)...)
		for _, p := range l.places(e.node) {
			add(l.record(e.id.String(), e.node, p, list))
		}
	}
	return append(b, make([]byte, -len(b)&(sectorSize-1))...)
}

// place is an extent, and what it is.
type place struct {
	sector, size int64
	flags        byte
}

// places are the extents of a node: one, unless it is of 4 GiB and more.
func (l *layout) places(n tree.Node) (list []place) {
	if n.Mode().IsDir() {
		d := l.byNode[n.Index()]
		return []place{{d.sector, d.size, flagDirectory}}
	}
	sector, size := l.contents[n.InodeIndex()], n.Inode().Size
	for size > maxExtent {
		list = append(list, place{sector, maxExtent, flagMore})
		sector += maxExtent / sectorSize
		size -= maxExtent
	}
	return append(list, place{sector, size, 0})
}

// record is an entry of a directory.
func (l *layout) record(id string, n tree.Node, p place, list [][]byte) []byte {
	b := make([]byte, 2, maxRecord)
	b = both(both(b, uint32(p.sector)), uint32(p.size))
	at := stamp(n.Inode().ModTime)
	b = append(append(b, at[:]...), p.flags, 0, 0)
	b = append(append(both16(b, 1), byte(len(id))), id...)
	b = append(b, make([]byte, len(b)&1)...)
	b = append(b, l.overflow.fit(list, maxRecord-len(b))...)
	b = append(b, make([]byte, len(b)&1)...)
	b[0] = byte(len(b))
	return b
}
