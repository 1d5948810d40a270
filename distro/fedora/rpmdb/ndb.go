package rpmdb

import (
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"io"
	"iter"
	"os"
)

// rpm's own database, ndb: pages of slots, each of which says in which blocks
// of 16 bytes a package lies. All numbers are little-endian.
const (
	ndbPage       = 4096
	ndbSlot       = 16
	ndbBlock      = 16
	ndbBlobHead   = 16
	ndbBlobTail   = 12
	ndbVersion    = 0
	ndbHeadSlots  = 2 // the place of so many slots is taken by the header
	ndbMaxPages   = 1 << 16
	ndbMagic      = "RpmP"
	ndbSlotMagic  = "Slot"
	ndbBlobMagic  = "BlbS"
	ndbBlobEnding = "BlbE"
)

func openNDB(db io.ReaderAt, size int64, _ func(string) (*os.File, error)) (iter.Seq2[[]byte, error], error) {
	return ndbBlobs(db, size)
}

func ndbBlobs(db io.ReaderAt, size int64) (iter.Seq2[[]byte, error], error) {
	head, err := readAt(db, ndbHeadSlots*ndbSlot, 0)
	if err != nil {
		return nil, err
	}
	version, pages := binary.LittleEndian.Uint32(head[4:]), int64(binary.LittleEndian.Uint32(head[12:]))
	if string(head[:4]) != ndbMagic || version != ndbVersion {
		return nil, fmt.Errorf("it is no database of rpm's own form: %w", errDamaged)
	}
	if pages == 0 || pages > ndbMaxPages || pages*ndbPage > size {
		return nil, fmt.Errorf("%d pages of slots: %w", pages, errDamaged)
	}
	slots, err := readAt(db, pages*ndbPage, 0)
	if err != nil {
		return nil, err
	}
	return func(yield func([]byte, error) bool) {
		total := int64(0)
		for at := ndbHeadSlots * ndbSlot; at < len(slots); at += ndbSlot {
			slot := slots[at : at+ndbSlot]
			offset := int64(binary.LittleEndian.Uint32(slot[8:]))
			if string(slot[:4]) == ndbSlotMagic && offset == 0 {
				continue // free
			}
			blob, err := ndbBlob(db, size, slot)
			if total += int64(len(blob)); err == nil && total > size {
				err = fmt.Errorf("its packages overlap: %w", errDamaged)
			}
			if !yield(blob, err) || err != nil {
				return
			}
		}
	}, nil
}

// ndbBlob reads the package that a slot is of.
func ndbBlob(db io.ReaderAt, size int64, slot []byte) ([]byte, error) {
	number := binary.LittleEndian.Uint32(slot[4:])
	offset := int64(binary.LittleEndian.Uint32(slot[8:])) * ndbBlock
	length := int64(binary.LittleEndian.Uint32(slot[12:])) * ndbBlock
	if string(slot[:4]) != ndbSlotMagic || length < ndbBlobHead+ndbBlobTail || length > maxBlob || offset+length > size {
		return nil, fmt.Errorf("the slot of package %d: %w", number, errDamaged)
	}
	data, err := readAt(db, length, offset)
	if err != nil {
		return nil, err
	}
	tail := data[length-ndbBlobTail:]
	have := int64(binary.LittleEndian.Uint32(data[12:]))
	if string(data[:4]) != ndbBlobMagic || string(tail[8:]) != ndbBlobEnding || binary.LittleEndian.Uint32(data[4:]) != number ||
		have > length-ndbBlobHead-ndbBlobTail || binary.LittleEndian.Uint32(tail[4:]) != uint32(have) {
		return nil, fmt.Errorf("the place of package %d: %w", number, errDamaged)
	}
	if adler32.Checksum(data[:length-ndbBlobTail]) != binary.LittleEndian.Uint32(tail) {
		return nil, fmt.Errorf("the checksum of package %d: %w", number, errDamaged)
	}
	return data[ndbBlobHead : ndbBlobHead+have], nil
}
