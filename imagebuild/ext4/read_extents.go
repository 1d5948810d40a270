package ext4

import "errors"

const (
	directBlocks = 12 // in an inode of ext2 and ext3
	// costOfTable is how many extents a table of blocks counts for: one may be
	// named in many places.
	costOfTable = 8
)

var (
	errExtents     = errors.New("wrong extents")
	errManyExtents = errors.New("too many extents")
)

// extents are those of an inode, in order and not overlapping, without what was
// set aside but not written.
func (p *reader) extents(i *readInode) ([]extent, error) {
	l := extentList{p: p, inode: i, end: ceil(i.size, p.blockSize)}
	var err error
	if i.has(flagExtents) {
		err = l.walk(i.raw[0x28:0x28+60], 5)
	} else {
		err = l.tables()
	}
	return l.list, err
}

// extentList collects the extents of an inode.
type extentList struct {
	p     *reader
	inode *readInode
	end   int64 // the block behind the last one of the file
	next  int64 // the least that an extent may begin at
	list  []extent
}

func (l *extentList) walk(b []byte, below int) error {
	count, depth := int(le.Uint16(b[2:])), int(le.Uint16(b[6:]))
	if le.Uint16(b) != extentMagic || 12+12*count > len(b) || depth > below {
		return errExtents
	}
	for k := range count {
		at := b[12+12*k:]
		if l.p.extentsLeft--; l.p.extentsLeft < 0 {
			return errManyExtents
		}
		if depth > 0 {
			block, err := l.p.block(int64(le.Uint32(at[4:])) | int64(le.Uint16(at[8:]))<<32)
			if err != nil {
				return err
			}
			if int(le.Uint16(block[6:])) != depth-1 || !l.sumIsRight(block) {
				return errors.New("a block of extents is wrong")
			}
			if err := l.walk(block, depth-1); err != nil {
				return err
			}
			continue
		}
		x := extent{int64(le.Uint32(at)), int64(le.Uint32(at[8:])) | int64(le.Uint16(at[6:]))<<32, int64(le.Uint16(at[4:]))}
		if err := l.add(x); err != nil {
			return err
		}
	}
	return nil
}

// sumIsRight holds the checksum behind the room for extents against them.
func (l *extentList) sumIsRight(block []byte) bool {
	if !l.p.sums {
		return true
	}
	at := 12 + 12*int(le.Uint16(block[4:]))
	return at+4 <= len(block) && crc(l.inode.seed, block[:at]) == le.Uint32(block[at:])
}

// add adds an extent. A count of more than there can be says that the blocks are
// not written yet. Blocks behind the end, where others keep more than is read of a
// file, are left out.
func (l *extentList) add(x extent) error {
	unwritten := x.count > maxExtent
	if unwritten {
		x.count -= maxExtent
	}
	if x.count == 0 || x.logical < l.next || x.physical <= 0 || x.physical > l.p.blocks-x.count {
		return errExtents
	}
	l.next = x.logical + x.count
	x.count = min(x.count, l.end-x.logical)
	if !unwritten && x.count > 0 {
		l.list = append(l.list, x)
	}
	return nil
}

// tables goes through the blocks of a file of ext2 or ext3: some, and then a table
// of more, one of tables, and one of tables of those.
func (l *extentList) tables() error {
	b := l.inode.raw[0x28:]
	for k := range directBlocks {
		if err := l.one(int64(k), le.Uint32(b[4*k:])); err != nil {
			return err
		}
	}
	at, span := int64(directBlocks), int64(1)
	for k := range 3 {
		if err := l.table(at, span, le.Uint32(b[4*(directBlocks+k):])); err != nil {
			return err
		}
		span *= l.p.blockSize / 4
		at += span
	}
	return nil
}

// table goes through a table whose entries are for span blocks each, from a block
// of the file on. 0 is a hole.
func (l *extentList) table(at, span int64, block uint32) error {
	if block == 0 || at >= l.end {
		return nil
	}
	if l.p.extentsLeft -= costOfTable; l.p.extentsLeft < 0 {
		return errManyExtents
	}
	if err := l.p.ctx.Err(); err != nil {
		return err
	}
	b, err := l.p.block(int64(block))
	if err != nil {
		return err
	}
	for ; len(b) > 0 && at < l.end; b = b[4:] {
		entry := le.Uint32(b)
		if span == 1 {
			err = l.one(at, entry)
		} else {
			err = l.table(at, span/(l.p.blockSize/4), entry)
		}
		if err != nil {
			return err
		}
		at += span
	}
	return nil
}

// one adds a block, to the extent before where it goes on there.
func (l *extentList) one(at int64, block uint32) error {
	if block == 0 || at >= l.end {
		return nil
	}
	if int64(block) >= l.p.blocks {
		return errExtents
	}
	if n := len(l.list); n > 0 {
		last := &l.list[n-1]
		if last.logical+last.count == at && last.physical+last.count == int64(block) {
			last.count++
			return nil
		}
	}
	if l.p.extentsLeft--; l.p.extentsLeft < 0 {
		return errManyExtents
	}
	l.list = append(l.list, extent{at, int64(block), 1})
	return nil
}
