package ext4

import "encoding/binary"

const (
	compatible   = 0x4 | 0x8 | 0x20 // journal, attributes, hashed directories
	incompatible = 0x2 | 0x40 | 0x80 | 0x200
	readOnly     = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400
)

// writeJournal makes an empty journal, and its inode.
func (e *writer) writeJournal() error {
	if e.journal == 0 {
		return nil
	}
	i := &diskInode{number: journalIno, mode: 0o100600, time: e.o.Time, links: 1, size: e.journal * blockSize}
	i.seed = crc32of(crc32of(e.seed, i.number), 0)
	for k := range e.journal {
		at, err := e.allocate()
		if err != nil {
			return err
		}
		i.add(k, at)
	}
	first := i.extents[0].physical
	if err := e.extents(i); err != nil {
		return err
	}
	e.journal8 = i.encode()
	b := make([]byte, 1024)
	be := binary.BigEndian
	for at, v := range map[int]uint32{0: 0xC03B3998, 4: 4, 12: blockSize, 16: uint32(e.journal), 20: 1, 24: 1, 40: 0x12, 64: 1} {
		be.PutUint32(b[at:], v)
	}
	copy(b[48:], e.o.UUID[:])
	b[0x50] = 4 // CRC-32C
	be.PutUint32(b[0xFC:], crc(1<<32-1, b))
	_, err := e.w.WriteAt(b, first*blockSize)
	return err
}

// writeGroups writes bitmaps, descriptors and superblocks.
func (e *writer) writeGroups() error {
	descs := make([]byte, e.descBlocks*blockSize)
	free, freeInodes := int64(0), int64(0)
	for g := range e.groups {
		d := descs[g*descSize : (g+1)*descSize]
		flags := uint16(4)
		blocks, freeHere, plain := e.blockBits(g)
		free += freeHere
		used := min(max(e.usedInodes()-g*e.perGroup, 0), e.perGroup)
		inodes, freeI := e.inodeBits(g, used)
		freeInodes += freeI
		put := func(lo, hi int, v int64) {
			le.PutUint16(d[lo:], uint16(v))
			le.PutUint16(d[hi:], uint16(v>>16))
		}
		for k, at := range []int64{e.blockMap[g], e.inodeMap[g], e.table[g]} {
			le.PutUint32(d[4*k:], uint32(at))
			le.PutUint32(d[0x20+4*k:], uint32(at>>32))
		}
		put(0xC, 0x2C, freeHere)
		put(0xE, 0x2E, freeI)
		put(0x10, 0x30, e.dirs[g])
		put(0x1C, 0x32, e.perGroup-used)
		if plain && g > 0 && g < e.groups-1 {
			flags |= 2
		} else {
			put(0x18, 0x38, int64(crc(e.seed, blocks)))
			if _, err := e.w.WriteAt(blocks, e.blockMap[g]*blockSize); err != nil {
				return err
			}
		}
		if used == 0 {
			flags |= 1
		} else {
			put(0x1A, 0x3A, int64(crc(e.seed, inodes[:e.perGroup/8])))
			if _, err := e.w.WriteAt(inodes, e.inodeMap[g]*blockSize); err != nil {
				return err
			}
		}
		le.PutUint16(d[0x12:], flags)
		le.PutUint16(d[0x1E:], uint16(crc(crc32of(e.seed, uint32(g)), d)))
	}
	for g := range e.groups {
		if !hasSuper(g) {
			continue
		}
		b := append(make([]byte, blockSize), descs...)
		at := 0
		if g == 0 {
			at = 1024
		}
		e.super(b[at:at+1024], g, free, freeInodes)
		if _, err := e.w.WriteAt(b, g*groupBlocks*blockSize); err != nil {
			return err
		}
	}
	return nil
}

func (e *writer) usedInodes() int64 { return max(e.lastIno, lostIno-1) }

// blockBits is the bitmap of a group's blocks, the number of free ones, and
// whether nothing is used but copies of the superblock.
func (e *writer) blockBits(g int64) (b []byte, free int64, plain bool) {
	b = make([]byte, blockSize)
	from, to := g*groupBlocks, min((g+1)*groupBlocks, e.blocks)
	plain = e.next <= from
	set := func(s span) {
		for k := max(s.from, from); k < min(s.to, from+groupBlocks); k++ {
			b[(k-from)/8] |= 1 << (k % 8)
		}
	}
	set(span{0, e.next})
	set(span{to, from + groupBlocks})
	super := int64(0)
	if hasSuper(g) {
		super = from + 1 + e.descBlocks
	}
	for _, s := range e.taken {
		set(s)
		if s.to > max(from, super) && s.from < to {
			plain = false
		}
	}
	for k := range to - from {
		if b[k/8]>>(k%8)&1 == 0 {
			free++
		}
	}
	return b, free, plain
}

func (e *writer) inodeBits(g, used int64) (b []byte, free int64) {
	b = make([]byte, blockSize)
	for k := range int64(groupBlocks) {
		lost := g == 0 && k == lostIno-1 && e.ownLost
		if k < used && !lost || k >= e.perGroup {
			b[k/8] |= 1 << (k % 8)
		} else {
			free++
		}
	}
	return b, free
}

func (e *writer) super(b []byte, g, free, freeInodes int64) {
	flags := uint32(compatible)
	if e.journal == 0 {
		flags &^= 4
	}
	now := e.o.Time.Sec
	for at, v := range map[int]uint32{0: uint32(e.groups * e.perGroup), 4: uint32(e.blocks), 8: uint32(e.reserved), 0xC: uint32(free),
		0x10: uint32(freeInodes), 0x18: 2, 0x1C: 2, 0x20: groupBlocks, 0x24: groupBlocks, 0x28: uint32(e.perGroup), 0x30: uint32(now),
		0x40: uint32(now), 0x4C: 1, 0x54: lostIno, 0x58: inodeSize, 0x5C: flags, 0x60: incompatible, 0x64: readOnly, 0x100: 0xC,
		0x108: uint32(now), 0x150: uint32(e.blocks >> 32), 0x154: uint32(e.reserved >> 32), 0x158: uint32(free >> 32), 0x160: 2} {
		le.PutUint32(b[at:], v)
	}
	le.PutUint16(b[0x36:], 0xFFFF)
	le.PutUint16(b[0x38:], 0xEF53)
	le.PutUint16(b[0x3A:], 1)
	le.PutUint16(b[0x3C:], 1)
	le.PutUint16(b[0x5A:], uint16(g))
	copy(b[0x68:], e.o.UUID[:])
	copy(b[0x78:], e.o.Label)
	if e.journal > 0 {
		b[0xE0], b[0xFD] = journalIno, 1
		copy(b[0x10C:], e.journal8[0x28:0x28+60])
		copy(b[0x148:], e.journal8[0x6C:0x70])
		copy(b[0x14C:], e.journal8[4:8])
	}
	copy(b[0xEC:], e.o.HashSeed[:])
	b[0xFC], b[0xFE] = 1, descSize
	le.PutUint16(b[0x15C:], 32)
	le.PutUint16(b[0x15E:], 32)
	b[0x174], b[0x175] = 4, 1
	if !e.ownLost {
		le.PutUint32(b[0x268:], lostIno)
	}
	for _, at := range []int{0x274, 0x276, 0x277} {
		b[at] = byte(now >> 32)
	}
	le.PutUint32(b[0x3FC:], crc(1<<32-1, b[:0x3FC]))
}
