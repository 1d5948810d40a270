package fat

import (
	"encoding/binary"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Attributes of entries.
const (
	attrLabel     = 0x08
	attrDirectory = 0x10
	attrArchive   = 0x20
	attrLong      = 0x0F
	attrMask      = 0x3F
)

const (
	lastSlot   = 0x40 // of the slot that stands first
	deleted    = 0xE5
	escapedE5  = 0x05
	longFill   = 0xFFFF
	lowerBase  = 0x08
	lowerExten = 0x10
)

// unitOffsets are where a slot has the units of a long name.
var unitOffsets = [unitsInSlot]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}

// appendEntry appends the entry of a short name.
func appendEntry(b []byte, name short, attr byte, at tree.Time, r run, size int64) []byte {
	var e [entrySize]byte
	copy(e[:], name[:])
	s := stampOf(at)
	e[11] = attr
	e[13] = s.hundredths
	binary.LittleEndian.PutUint16(e[14:], s.time)
	binary.LittleEndian.PutUint16(e[16:], s.date)
	binary.LittleEndian.PutUint16(e[18:], s.date)
	binary.LittleEndian.PutUint16(e[20:], uint16(r.first>>16))
	binary.LittleEndian.PutUint16(e[22:], s.time)
	binary.LittleEndian.PutUint16(e[24:], s.date)
	binary.LittleEndian.PutUint16(e[26:], uint16(r.first))
	binary.LittleEndian.PutUint32(e[28:], uint32(size))
	return append(b, e[:]...)
}

// appendLong appends the slots of a long name, the last part of it first.
func appendLong(b []byte, u []uint16, sum byte) []byte {
	count := (len(u) + unitsInSlot - 1) / unitsInSlot
	for slot := count; slot > 0; slot-- {
		e := [entrySize]byte{0: byte(slot), 11: attrLong, 13: sum}
		if slot == count {
			e[0] |= lastSlot
		}
		for i, offset := range unitOffsets {
			unit := uint16(longFill)
			switch at := (slot-1)*unitsInSlot + i; {
			case at < len(u):
				unit = u[at]
			case at == len(u):
				unit = 0
			}
			binary.LittleEndian.PutUint16(e[offset:], unit)
		}
		b = append(b, e[:]...)
	}
	return b
}

// directory is all entries of a directory.
func (l *layout) directory(dir tree.Node, o Options) []byte {
	var b []byte
	if dir.Path() != "" {
		b = l.dots(dir)
	} else if o.Label != "" {
		b = appendEntry(b, short([]byte(o.paddedLabel())), attrLabel, dir.Inode().ModTime, run{}, 0)
	}
	names := newAliases(dir)
	for child := range dir.Children() {
		name, inode := child.Name(), child.Inode()
		alias := names.of(name)
		if !isPlain(name) {
			u, _ := units(name)
			b = appendLong(b, u, alias.checksum())
		}
		attr := byte(attrArchive)
		if inode.Mode.IsDir() {
			attr = attrDirectory
		}
		b = appendEntry(b, alias, attr, inode.ModTime, l.runs[child.Index()], inode.Size)
	}
	return b
}

// dots are the entries of the directory itself and of the one that it is in,
// which is 0 for the root.
func (l *layout) dots(dir tree.Node) []byte {
	var up run
	if parent := dir.Parent(); parent.Path() != "" {
		up = l.runs[parent.Index()]
	}
	b := appendEntry(nil, pack(".", ""), attrDirectory, dir.Inode().ModTime, l.runs[dir.Index()], 0)
	return appendEntry(b, pack("..", ""), attrDirectory, dir.Parent().Inode().ModTime, up, 0)
}
