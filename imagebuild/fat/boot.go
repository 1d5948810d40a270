package fat

import (
	"encoding/binary"
	"math"
)

const (
	infoSector   = 1
	backupSector = 6
	media        = 0xF8
)

// bootCode hands over to the next device: INT 18h, then HLT for ever.
var bootCode = []byte{0xCD, 0x18, 0xF4, 0xEB, 0xFD}

// bootSector is the first sector.
func (l *layout) bootSector(o Options) []byte {
	le := binary.LittleEndian
	b := make([]byte, sectorSize)
	extended := 36
	if l.fat == FAT32 {
		extended = 64
	}
	code := extended + 26
	copy(b, []byte{0xEB, byte(code - 2), 0x90})
	copy(b[3:], "samebits")
	le.PutUint16(b[11:], sectorSize)
	b[13] = byte(l.cluster / sectorSize)
	le.PutUint16(b[14:], uint16(l.reserved))
	b[16] = numFATs
	le.PutUint16(b[17:], uint16(l.rootEntries))
	if l.fat == FAT16 && l.sectors <= math.MaxUint16 {
		le.PutUint16(b[19:], uint16(l.sectors))
	} else {
		le.PutUint32(b[32:], uint32(l.sectors))
	}
	b[21] = media
	le.PutUint16(b[24:], sectorsPerTrack)
	le.PutUint16(b[26:], heads)
	le.PutUint32(b[28:], uint32(o.Start/sectorSize))
	if l.fat == FAT16 {
		le.PutUint16(b[22:], uint16(l.table))
	} else {
		le.PutUint32(b[36:], uint32(l.table))
		le.PutUint32(b[44:], l.runs[0].first)
		le.PutUint16(b[48:], infoSector)
		le.PutUint16(b[50:], backupSector)
	}
	b[extended] = 0x80 // a hard disk
	b[extended+2] = 0x29
	le.PutUint32(b[extended+3:], o.VolumeID)
	copy(b[extended+7:], o.paddedLabel())
	copy(b[extended+18:], l.fat.String()+"   ")
	copy(b[code:], bootCode)
	sign(b)
	return b
}

// infoBlock is the sector that tells how many clusters are free.
func (l *layout) infoBlock() []byte {
	le := binary.LittleEndian
	b := make([]byte, sectorSize)
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	le.PutUint32(b[488:], uint32(l.clusters-l.used))
	le.PutUint32(b[492:], uint32(1+l.used)) // the last one that was given away
	sign(b)
	return b
}

func sign(b []byte) { b[510], b[511] = 0x55, 0xAA }

// tableEntry is what the table has where a chain ends.
func (g *geometry) endOfChain() uint32 {
	switch g.fat {
	case FAT12:
		return 0xFFF
	case FAT16:
		return 0xFFFF
	}
	return 0x0FFFFFFF
}

// appendTable appends the entries of a run.
func (g *geometry) appendTable(b []byte, r run) []byte {
	for i := range r.count {
		value := r.first + i + 1
		if i+1 == r.count {
			value = g.endOfChain()
		}
		b = g.appendValue(b, value)
	}
	return b
}

func (g *geometry) appendValue(b []byte, value uint32) []byte {
	if g.fat == FAT16 {
		return binary.LittleEndian.AppendUint16(b, uint16(value))
	}
	return binary.LittleEndian.AppendUint32(b, value)
}
