package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxLogical bounds the partitions of an extended one. Linux counts to 60.
const maxLogical = 128

// IsExtended reports whether a partition of a master boot record holds others.
func IsExtended(kind byte) bool { return kind == 0x05 || kind == 0x0F || kind == 0x85 }

// ReadExtended reads the partitions that are in an extended one, which master boot
// records of other programs have, in their order: places are those on the disk r,
// of size bytes. Tables that lead out of the extended partition or to one that was
// met before are errors.
func ReadExtended(r io.ReaderAt, size int64, extended MBRPartition) ([]MBRPartition, error) {
	list, err := readExtended(r, size, extended)
	if err != nil {
		return list, fmt.Errorf("reading an extended partition: %w", err)
	}
	return list, nil
}

// readExtended follows the tables, each of which has a partition and the place of
// the next table, counted from the first one.
func readExtended(r io.ReaderAt, size int64, extended MBRPartition) (list []MBRPartition, err error) {
	le := binary.LittleEndian
	end := extended.Start + extended.Size
	if extended.Start <= 0 || extended.Size <= 0 || end > size {
		return nil, fmt.Errorf("it ends at byte %d of %d", end, size)
	}
	met := map[int64]bool{}
	b := make([]byte, mbrSector)
	for at := extended.Start; ; {
		switch {
		case met[at]:
			return list, fmt.Errorf("the table at byte %d comes twice", at)
		case len(list) == maxLogical:
			return list, fmt.Errorf("more than %d partitions", maxLogical)
		case at < extended.Start || at > end-mbrSector:
			return list, fmt.Errorf("a table at byte %d, which is not in it", at)
		}
		met[at] = true
		if _, err := io.ReadFull(io.NewSectionReader(r, at, mbrSector), b); err != nil {
			return list, err
		}
		if b[510] != 0x55 || b[511] != 0xAA {
			return list, fmt.Errorf("the table at byte %d has no signature", at)
		}
		e := b[446:]
		if start := at + int64(le.Uint32(e[8:]))*mbrSector; e[4] != 0 {
			p := MBRPartition{e[4], e[0] == 0x80, start, int64(le.Uint32(e[12:])) * mbrSector}
			if p.Size == 0 || p.Start <= at || p.Start+p.Size > end {
				return list, fmt.Errorf("a partition from byte %d to %d, which is not in it", p.Start, p.Start+p.Size)
			}
			list = append(list, p)
		}
		next := b[462:]
		if next[4] == 0 {
			return list, nil
		}
		if !IsExtended(next[4]) {
			return list, errors.New("a table with two partitions")
		}
		at = extended.Start + int64(le.Uint32(next[8:]))*mbrSector
	}
}
