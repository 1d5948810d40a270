package ext4

import "github.com/samebits/samebits/imagebuild/tree"

const (
	flagIndex   = 0x1000
	flagExtents = 0x80000
	maxExtent   = 32768
	perExtents  = (blockSize - 12 - 4) / 12
	extentMagic = 0xF30A
)

type extent struct{ logical, physical, count int64 }

// diskInode is an inode that is being written.
type diskInode struct {
	number, seed, flags uint32
	mode                tree.Mode
	uid, gid            uint32
	time                tree.Time
	links               int
	size, used, acl     int64 // used is in blocks
	noExtents           bool
	extents             []extent
	block               [60]byte
	inline              []attribute
}

// add appends a block.
func (i *diskInode) add(logical, physical int64) {
	i.used++
	if k := len(i.extents); k > 0 {
		last := &i.extents[k-1]
		if last.logical+last.count == logical && last.physical+last.count == physical && last.count < maxExtent {
			last.count++
			return
		}
	}
	i.extents = append(i.extents, extent{logical, physical, 1})
}

func (i *diskInode) device(n *tree.Inode) {
	if !n.Mode.IsDevice() {
		return
	}
	if n.Major < 256 && n.Minor < 256 {
		le.PutUint32(i.block[:], n.Major<<8|n.Minor)
		return
	}
	le.PutUint32(i.block[4:], n.Minor&0xFF|n.Major<<8|n.Minor&^0xFF<<12)
}

func putExtents(b []byte, list []extent, limit, depth int) {
	le.PutUint16(b, extentMagic)
	le.PutUint16(b[2:], uint16(len(list)))
	le.PutUint16(b[4:], uint16(limit))
	le.PutUint16(b[6:], uint16(depth))
	for k, x := range list {
		at := b[12+12*k:]
		le.PutUint32(at, uint32(x.logical))
		if depth == 0 {
			le.PutUint16(at[4:], uint16(x.count))
			le.PutUint16(at[6:], uint16(x.physical>>32))
			le.PutUint32(at[8:], uint32(x.physical))
		} else {
			le.PutUint32(at[4:], uint32(x.physical))
			le.PutUint16(at[8:], uint16(x.physical>>32))
		}
	}
}

// extents writes the tree over an inode's extents, whose root is in it.
func (e *writer) extents(i *diskInode) error {
	if i.noExtents {
		return nil
	}
	i.flags |= flagExtents
	list, depth := i.extents, 0
	for ; len(list) > 4; depth++ {
		var above []extent
		for len(list) > 0 {
			part := list[:min(perExtents, len(list))]
			list = list[len(part):]
			b := make([]byte, blockSize)
			putExtents(b, part, perExtents, depth)
			le.PutUint32(b[blockSize-4:], crc(i.seed, b[:blockSize-4]))
			at, err := e.allocate()
			if err != nil {
				return err
			}
			if err := e.put(at, b); err != nil {
				return err
			}
			i.used++
			above = append(above, extent{logical: part[0].logical, physical: at})
		}
		list = above
	}
	putExtents(i.block[:], list, 4, depth)
	return nil
}

// encode is the inode as it is in the table.
func (i *diskInode) encode() []byte {
	b := make([]byte, inodeSize)
	le.PutUint16(b, uint16(i.mode))
	le.PutUint16(b[2:], uint16(i.uid))
	le.PutUint32(b[4:], uint32(i.size))
	extra := uint32((i.time.Sec-int64(int32(i.time.Sec)))>>32)&3 | i.time.Nsec<<2
	for _, at := range [][2]int{{8, 0x8C}, {12, 0x84}, {16, 0x88}, {0x90, 0x94}} {
		le.PutUint32(b[at[0]:], uint32(i.time.Sec))
		le.PutUint32(b[at[1]:], extra)
	}
	le.PutUint16(b[0x18:], uint16(i.gid))
	le.PutUint16(b[0x1A:], uint16(i.links))
	sectors := i.used * (blockSize / 512)
	le.PutUint32(b[0x1C:], uint32(sectors))
	le.PutUint32(b[0x20:], i.flags)
	copy(b[0x28:], i.block[:])
	le.PutUint32(b[0x68:], uint32(i.acl))
	le.PutUint32(b[0x6C:], uint32(i.size>>32))
	le.PutUint16(b[0x74:], uint16(sectors>>32))
	le.PutUint16(b[0x76:], uint16(i.acl>>32))
	le.PutUint16(b[0x78:], uint16(i.uid>>16))
	le.PutUint16(b[0x7A:], uint16(i.gid>>16))
	le.PutUint16(b[0x80:], 32)
	if len(i.inline) > 0 {
		le.PutUint32(b[0xA0:], xattrMagic)
		putAttributes(b, 0xA4, 0xA4, i.inline)
	}
	sum := crc(i.seed, b)
	le.PutUint16(b[0x7C:], uint16(sum))
	le.PutUint16(b[0x82:], uint16(sum>>16))
	return b
}
