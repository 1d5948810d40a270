package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"unicode/utf16"
)

// ErrNoTable says that a disk has no GUID partition table.
var ErrNoTable = errors.New("there is no GUID partition table")

// maxEntries bounds the entries of tables that others wrote.
const maxEntries = 1024

// Read reads the table of a disk of size bytes, of sectors of 512 or 4096 bytes,
// and compares it with its copy. It is an error that wraps [ErrNoTable] where
// there is none, and another where sums, places or copies are wrong. Entries
// that are not used are left out.
func Read(r io.ReaderAt, size int64) (*Table, error) {
	for _, sector := range []int{512, 4096} {
		b := make([]byte, 2*sector)
		if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), b); err != nil {
			continue
		}
		if string(b[sector:sector+len(signature)]) != signature {
			continue
		}
		t, err := read(r, size, sector)
		if err != nil {
			return nil, fmt.Errorf("reading a partition table: %w", err)
		}
		t.Signature = binary.LittleEndian.Uint32(b[maxCode:])
		if code := bytes.TrimRight(b[:maxCode], "\x00"); len(code) > 0 {
			t.BootCode = slices.Clone(code)
		}
		return t, nil
	}
	return nil, fmt.Errorf("reading a partition table: %w", ErrNoTable)
}

// head is what the two headers have to agree in.
type head struct {
	first, last uint64
	id          GUID
	number      uint32
	size        uint32
	sum         uint32
}

func read(r io.ReaderAt, size int64, sector int) (*Table, error) {
	t := &Table{SectorSize: sector, Size: size / int64(sector) * int64(sector)}
	primary, other, entries, err := t.readHeader(r, 1)
	if err != nil {
		return nil, err
	}
	if other != uint64(t.Size/int64(sector)-1) {
		if t.Size = int64(min(other, uint64(size))+1) * int64(sector); t.Size > size || t.Size <= 0 {
			return nil, fmt.Errorf("its copy should be in sector %d, beyond the end of the disk", other)
		}
	}
	backup, _, copied, err := t.readHeader(r, int64(other))
	if err != nil {
		return nil, fmt.Errorf("the copy: %w", err)
	}
	if primary != backup || !bytes.Equal(entries, copied) {
		return nil, errors.New("the table and its copy differ")
	}
	t.ID = primary.id
	if err := t.parse(entries, int(primary.size)); err != nil {
		return nil, err
	}
	return t, t.checkRead(primary)
}

// readHeader reads one header, and the entries that it speaks of.
func (t *Table) readHeader(r io.ReaderAt, at int64) (h head, other uint64, entries []byte, err error) {
	b := make([]byte, t.sector())
	if _, err := r.ReadAt(b, at*t.sector()); err != nil {
		return h, 0, nil, err
	}
	le := binary.LittleEndian
	length := le.Uint32(b[12:])
	switch {
	case string(b[:8]) != signature:
		return h, 0, nil, fmt.Errorf("sector %d is no header", at)
	case le.Uint32(b[8:]) != revision:
		return h, 0, nil, fmt.Errorf("the revision %#x is not known", le.Uint32(b[8:]))
	case length < headerSize || int64(length) > t.sector():
		return h, 0, nil, fmt.Errorf("a header of %d bytes", length)
	case le.Uint64(b[24:]) != uint64(at):
		return h, 0, nil, fmt.Errorf("the header in sector %d says to be in %d", at, le.Uint64(b[24:]))
	}
	sum := le.Uint32(b[16:])
	clear(b[16:20])
	if crc32.ChecksumIEEE(b[:length]) != sum {
		return h, 0, nil, fmt.Errorf("the sum of the header in sector %d is wrong", at)
	}
	h = head{le.Uint64(b[40:]), le.Uint64(b[48:]), parseDisk(b[56:]), le.Uint32(b[80:]), le.Uint32(b[84:]), le.Uint32(b[88:])}
	start := le.Uint64(b[72:])
	if h.number > maxEntries || h.size < entrySize || h.size > 4096 || h.size%8 != 0 || start > uint64(t.Size/t.sector()) {
		return h, 0, nil, fmt.Errorf("%d entries of %d bytes in sector %d", h.number, h.size, start)
	}
	entries = make([]byte, int(h.number)*int(h.size))
	if _, err := r.ReadAt(entries, int64(start)*t.sector()); err != nil {
		return h, 0, nil, err
	}
	if crc32.ChecksumIEEE(entries) != h.sum {
		return h, 0, nil, fmt.Errorf("the sum of the entries in sector %d is wrong", start)
	}
	return h, le.Uint64(b[32:]), entries, nil
}

func (t *Table) parse(entries []byte, size int) error {
	le := binary.LittleEndian
	for i := 0; i+size <= len(entries); i += size {
		e := entries[i:]
		if parseDisk(e) == zeroGUID {
			continue
		}
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if last < first || last >= uint64(t.Size/t.sector()) {
			return fmt.Errorf("the entry %d has the sectors from %d to %d", i/size+1, first, last)
		}
		var name []uint16
		for j := range nameUnits {
			unit := le.Uint16(e[56+2*j:])
			if unit == 0 {
				break
			}
			name = append(name, unit)
		}
		t.Partitions = append(t.Partitions, Partition{
			Type: parseDisk(e), ID: parseDisk(e[16:]), Name: string(utf16.Decode(name)), Attributes: le.Uint64(e[48:]),
			Start: int64(first) * t.sector(), Size: int64(last-first+1) * t.sector(),
		})
	}
	return nil
}

// checkRead reports partitions that are where none may be.
func (t *Table) checkRead(h head) error {
	for i, p := range t.Partitions {
		if uint64(p.Start/t.sector()) < h.first || uint64((p.Start+p.Size)/t.sector()-1) > h.last {
			return fmt.Errorf("%s is not between the sectors %d and %d", p.describe(i), h.first, h.last)
		}
	}
	return overlap(t.Partitions)
}
