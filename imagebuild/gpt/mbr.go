package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Types of partitions of master boot records.
const (
	MBRFAT16 byte = 0x0E // addressed by sector, as are the others
	MBRFAT32 byte = 0x0C
	MBRLinux byte = 0x83
	MBRESP   byte = 0xEF
)

const (
	mbrSector  = 512
	mbrEntries = 4
)

// MBRPartition is one of the four partitions of a master boot record.
type MBRPartition struct {
	Type        byte
	Active      bool  // BIOSes boot from it
	Start, Size int64 // bytes, multiples of 512; Layout sets a Start of 0
}

// MBR is the table of a master boot record, with sectors of 512 bytes.
type MBR struct {
	Signature  uint32 // Linux makes the partitions' identifiers of it
	Size       int64  // of the disk, in bytes; Layout sets it if it is 0
	Partitions []MBRPartition
	BootCode   []byte // of at most 440 bytes
}

// Layout is the table with a place for each partition, as [Table.Layout] does.
func (m MBR) Layout() (*MBR, error) {
	m.Partitions = slices.Clone(m.Partitions)
	end := int64(mbrSector)
	for i := range m.Partitions {
		p := &m.Partitions[i]
		border := int64(mbrSector)
		if p.Start == 0 {
			p.Start, border = up(end, Alignment), Alignment
		}
		if p.Size == Rest && m.Size > 0 && i == len(m.Partitions)-1 {
			p.Size = m.Size/border*border - p.Start
		}
		if p.Size > maxSize-p.Start {
			return nil, fmt.Errorf("laying out a disk: partition %d has %d bytes, which is too many", i+1, p.Size)
		}
		p.Size = up(p.Size, border)
		end = max(end, p.Start+p.Size)
	}
	if m.Size == 0 {
		m.Size = up(end, Alignment)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("laying out a disk: %w", err)
	}
	return &m, nil
}

func (m *MBR) check() error {
	switch {
	case len(m.Partitions) > mbrEntries:
		return fmt.Errorf("%d partitions: a master boot record has at most %d", len(m.Partitions), mbrEntries)
	case len(m.BootCode) > maxCode:
		return fmt.Errorf("boot code of %d bytes: at most %d are possible", len(m.BootCode), maxCode)
	}
	places := make([]Partition, len(m.Partitions))
	for i, p := range m.Partitions {
		switch {
		case p.Type == 0:
			return fmt.Errorf("partition %d has no type", i+1)
		case p.Start%mbrSector != 0 || p.Size%mbrSector != 0 || p.Start < mbrSector || p.Size <= 0:
			return fmt.Errorf("partition %d: its start, %d, and size, %d, must be multiples of %d", i+1, p.Start, p.Size, mbrSector)
		case p.Start/mbrSector > math.MaxUint32 || p.Size/mbrSector > math.MaxUint32:
			return fmt.Errorf("partition %d: a master boot record knows 2 TiB only", i+1)
		case p.Start > m.Size || p.Size > m.Size-p.Start:
			return fmt.Errorf("partition %d ends at byte %d of %d", i+1, p.Start+p.Size, m.Size)
		}
		places[i] = Partition{Start: p.Start, Size: p.Size}
	}
	return overlap(places)
}

// WriteTo writes the first sector of the disk.
func (m *MBR) WriteTo(w io.WriterAt) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("writing a master boot record: %w", err)
	}
	b := make([]byte, mbrSector)
	copy(b, m.BootCode)
	binary.LittleEndian.PutUint32(b[440:], m.Signature)
	for i, p := range m.Partitions {
		putRecord(b[446+16*i:], record{p.Active, p.Type, uint32(p.Start / mbrSector), uint32(p.Size / mbrSector)})
	}
	b[510], b[511] = 0x55, 0xAA
	if _, err := w.WriteAt(b, 0); err != nil {
		return fmt.Errorf("writing a master boot record: %w", err)
	}
	return nil
}

// ReadMBR reads the master boot record of a disk of size bytes. A protective one,
// which stands before a GUID table, is read as any other; extended partitions are
// not followed.
func ReadMBR(r io.ReaderAt, size int64) (*MBR, error) {
	b := make([]byte, mbrSector)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), b); err != nil {
		return nil, fmt.Errorf("reading a master boot record: %w", err)
	}
	if b[510] != 0x55 || b[511] != 0xAA {
		return nil, errors.New("reading a master boot record: it has no signature")
	}
	le := binary.LittleEndian
	m := &MBR{Signature: le.Uint32(b[440:]), Size: size}
	if code := bytes.TrimRight(b[:maxCode], "\x00"); len(code) > 0 {
		m.BootCode = code
	}
	for i := range mbrEntries {
		e := b[446+16*i:]
		if e[4] == 0 {
			continue
		}
		if e[0]&0x7F != 0 {
			return nil, fmt.Errorf("reading a master boot record: partition %d has the status %#x", i+1, e[0])
		}
		m.Partitions = append(m.Partitions, MBRPartition{e[4], e[0] == 0x80, int64(le.Uint32(e[8:])) * mbrSector, int64(le.Uint32(e[12:])) * mbrSector})
	}
	return m, nil
}

// record is an entry of a master boot record, in sectors.
type record struct {
	active       bool
	kind         byte
	first, count uint32
}

func putRecord(b []byte, r record) {
	if r.active {
		b[0] = 0x80
	}
	putCHS(b[1:], r.first)
	b[4] = r.kind
	putCHS(b[5:], uint32(min(uint64(r.first)+uint64(r.count)-1, math.MaxUint32)))
	if r.kind == protective {
		copy(b[5:], []byte{0xFF, 0xFF, 0xFF})
	}
	binary.LittleEndian.PutUint32(b[8:], r.first)
	binary.LittleEndian.PutUint32(b[12:], r.count)
}

// putCHS is where a sector is on a disk of 255 heads and 63 sectors, or that it
// is beyond 1024 cylinders.
func putCHS(b []byte, sector uint32) {
	const heads, sectors = 255, 63
	cylinder, head, s := sector/(heads*sectors), sector/sectors%heads, sector%sectors+1
	if cylinder > 1023 {
		copy(b, []byte{0xFE, 0xFF, 0xFF})
		return
	}
	b[0], b[1], b[2] = byte(head), byte(s|cylinder>>8<<6), byte(cylinder)
}
