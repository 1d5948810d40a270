package gpt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"unicode/utf16"
)

const (
	signature  = "EFI PART"
	revision   = 0x10000
	headerSize = 92
	protective = 0xEE
)

// WriteTo writes the tables to w, the beginning and the end of the disk: the
// rest of it is left as it is, and its last byte is written. Every partition has
// to have its place, as [Table.Layout] gives them.
func (t *Table) WriteTo(w io.WriterAt) error {
	if err := t.write(w); err != nil {
		return fmt.Errorf("writing a partition table: %w", err)
	}
	return nil
}

func (t *Table) write(w io.WriterAt) error {
	if err := t.check(); err != nil {
		return err
	}
	entries, err := t.entries()
	if err != nil {
		return err
	}
	s := t.sector()
	lastSector := t.Size/s - 1
	head := make([]byte, 2*s, 2*s+int64(len(entries)))
	t.protect(head)
	if err := t.header(head[s:], 1, lastSector, 2, entries); err != nil {
		return err
	}
	tail := append(entries[:len(entries):len(entries)], make([]byte, s)...)
	if err := t.header(tail[len(entries):], lastSector, 1, lastSector-t.entrySectors(), entries); err != nil {
		return err
	}
	if _, err := w.WriteAt(append(head, entries...), 0); err != nil {
		return err
	}
	_, err = w.WriteAt(tail, t.Size-int64(len(tail)))
	return err
}

// protect fills in the master boot record, which says that the whole disk is
// taken.
func (t *Table) protect(b []byte) {
	copy(b, t.BootCode)
	binary.LittleEndian.PutUint32(b[440:], t.Signature)
	sectors := min(t.Size/t.sector()-1, math.MaxUint32)
	putRecord(b[446:], record{kind: protective, first: 1, count: uint32(sectors)})
	b[510], b[511] = 0x55, 0xAA
}

func (t *Table) header(b []byte, own, other, entriesAt int64, entries []byte) error {
	id, err := t.ID.disk()
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	copy(b, signature)
	le.PutUint32(b[8:], revision)
	le.PutUint32(b[12:], headerSize)
	le.PutUint64(b[24:], uint64(own))
	le.PutUint64(b[32:], uint64(other))
	le.PutUint64(b[40:], uint64(t.first()/t.sector()))
	le.PutUint64(b[48:], uint64(t.last()/t.sector()-1))
	copy(b[56:], id[:])
	le.PutUint64(b[72:], uint64(entriesAt))
	le.PutUint32(b[80:], numEntries)
	le.PutUint32(b[84:], entrySize)
	le.PutUint32(b[88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(b[16:], crc32.ChecksumIEEE(b[:headerSize]))
	return nil
}

func (t *Table) entries() ([]byte, error) {
	b := make([]byte, numEntries*entrySize)
	le := binary.LittleEndian
	for i, p := range t.Partitions {
		e := b[i*entrySize:]
		for at, g := range map[int]GUID{0: p.Type, 16: p.ID} {
			raw, err := g.disk()
			if err != nil {
				return nil, err
			}
			copy(e[at:], raw[:])
		}
		le.PutUint64(e[32:], uint64(p.Start/t.sector()))
		le.PutUint64(e[40:], uint64((p.Start+p.Size)/t.sector()-1))
		le.PutUint64(e[48:], p.Attributes)
		for j, unit := range utf16.Encode([]rune(p.Name)) {
			le.PutUint16(e[56+2*j:], unit)
		}
	}
	return b, nil
}
