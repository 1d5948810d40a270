package gpt

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Numbers are those of a table's partitions, from 1 on, by which Linux calls them:
// entries that are not used, which [Read] leaves out, count. r is what the table
// was read from.
func (t *Table) Numbers(r io.ReaderAt) ([]int, error) {
	b := make([]byte, headerSize)
	if _, err := io.ReadFull(io.NewSectionReader(r, t.sector(), headerSize), b); err != nil {
		return nil, fmt.Errorf("reading a partition table: %w", err)
	}
	le := binary.LittleEndian
	start, number, size := le.Uint64(b[72:]), le.Uint32(b[80:]), le.Uint32(b[84:])
	var list []int
	entry := make([]byte, 16)
	for i := range min(number, maxEntries) {
		if _, err := io.ReadFull(io.NewSectionReader(r, int64(start)*t.sector()+int64(i)*int64(size), 16), entry); err != nil {
			return nil, fmt.Errorf("reading a partition table: %w", err)
		}
		if parseDisk(entry) != zeroGUID {
			list = append(list, int(i)+1)
		}
	}
	if len(list) != len(t.Partitions) {
		return nil, fmt.Errorf("reading a partition table: it has %d partitions, and had %d", len(list), len(t.Partitions))
	}
	return list, nil
}

// Numbers are those of a master boot record's partitions, as [Table.Numbers].
func (m *MBR) Numbers(r io.ReaderAt) ([]int, error) {
	b := make([]byte, mbrSector)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, mbrSector), b); err != nil {
		return nil, fmt.Errorf("reading a master boot record: %w", err)
	}
	var list []int
	for i := range mbrEntries {
		if b[446+16*i+4] != 0 {
			list = append(list, i+1)
		}
	}
	if len(list) != len(m.Partitions) {
		return nil, fmt.Errorf("reading a master boot record: it has %d partitions, and had %d", len(list), len(m.Partitions))
	}
	return list, nil
}
