package iso

import (
	"encoding/binary"
	"fmt"
	"math"
)

// text is filled up with spaces.
func text(s string, size int) string { return fmt.Sprintf("%-*s", size, s) }

// descriptors are the sectors that tell what the volume is.
func (l *layout) descriptors() []byte {
	b := l.primary()
	if l.o.BIOS != nil || l.o.UEFI != nil {
		boot := make([]byte, sectorSize)
		copy(boot, "\x00CD001\x01EL TORITO SPECIFICATION")
		binary.LittleEndian.PutUint32(boot[71:], uint32(l.catalog))
		b = append(b, boot...)
	}
	end := make([]byte, sectorSize)
	copy(end, "\xffCD001\x01")
	return append(b, end...)
}

func (l *layout) primary() []byte {
	b := append(make([]byte, 0, sectorSize), "\x01CD001\x01\x00"...)
	b = append(b, text(l.o.System, 32)...)
	b = append(b, text(l.o.VolumeID, 32)...)
	b = append(b, make([]byte, 8)...)
	b = both(b, uint32(l.total))
	b = append(b, make([]byte, 32)...)
	b = both16(both16(both16(b, 1), 1), sectorSize)
	b = both(b, uint32(l.pathSize))
	table := l.pathTable()
	b = binary.LittleEndian.AppendUint32(b, uint32(table))
	b = append(b, make([]byte, 4)...)
	b = binary.BigEndian.AppendUint32(b, uint32(table+sectors(l.pathSize)))
	b = append(b, make([]byte, 4)...)
	root := l.dirs[0]
	b = append(b, l.record("\x00", root.node, place{root.sector, root.size, flagDirectory}, nil)...)
	for _, s := range []string{l.o.VolumeSet, l.o.Publisher, l.o.Preparer, l.o.Application} {
		b = append(b, text(s, 128)...)
	}
	b = append(b, text("", 3*37)...) // names of files
	now := longStamp(l.o.Time)
	b = append(b, now+now+noStamp+noStamp...)
	b = append(b, 1)
	return b[:sectorSize]
}

// pathTable is the sector of the first of the two tables.
func (l *layout) pathTable() int64 { return l.dirs[0].sector - 2*sectors(l.pathSize) }

// pathTables are both, the one of small machines first.
func (l *layout) pathTables() []byte {
	var out []byte
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, d := range l.dirs {
			out = append(out, byte(len(d.id)), 0)
			out = order.AppendUint32(out, uint32(d.sector))
			out = order.AppendUint16(out, uint16(d.parent.number))
			out = append(out, d.id...)
			out = append(out, make([]byte, len(d.id)&1)...)
		}
		out = append(out, make([]byte, -len(out)&(sectorSize-1))...)
	}
	return out
}

const (
	platformPC   = 0
	platformUEFI = 0xEF
	bootable     = 0x88
	lastHeader   = 0x91
)

// bootCatalog is what El Torito asks for.
func (l *layout) bootCatalog() []byte {
	b := make([]byte, 0, sectorSize)
	platform := byte(platformPC)
	if l.o.BIOS == nil {
		platform = platformUEFI
	}
	validation := make([]byte, 32)
	validation[0], validation[1] = 1, platform
	validation[30], validation[31] = 0x55, 0xAA
	var sum uint16
	for i := 0; i < 32; i += 2 {
		sum += binary.LittleEndian.Uint16(validation[i:])
	}
	binary.LittleEndian.PutUint16(validation[28:], -sum)
	b = append(b, validation...)
	if l.o.BIOS != nil {
		b = append(b, bootEntry(bootSectors, l.bios)...)
	}
	if l.o.UEFI != nil {
		if l.o.BIOS != nil {
			header := make([]byte, 32)
			header[0], header[1], header[2] = lastHeader, platformUEFI, 1
			b = append(b, header...)
		}
		// Zero is up to the end of the medium, where 16 bits are too few.
		count := l.o.UEFI.Size / 512
		if count > math.MaxUint16 {
			count = 0
		}
		b = append(b, bootEntry(uint16(count), l.uefi)...)
	}
	return b[:sectorSize]
}

func bootEntry(count uint16, sector int64) []byte {
	b := make([]byte, 32)
	b[0] = bootable
	binary.LittleEndian.PutUint16(b[6:], count)
	binary.LittleEndian.PutUint32(b[8:], uint32(sector))
	return b
}

// infoTable tells a boot image where it is, and its sum.
func (l *layout) infoTable(b []byte) {
	le := binary.LittleEndian
	clear(b[8:64])
	le.PutUint32(b[8:], primarySector)
	le.PutUint32(b[12:], uint32(l.bios))
	le.PutUint32(b[16:], uint32(len(b)))
	var sum uint32
	for i := 64; i < len(b); i += 4 {
		var word [4]byte
		copy(word[:], b[i:])
		sum += le.Uint32(word[:])
	}
	le.PutUint32(b[20:], sum)
}
