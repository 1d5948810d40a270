package rpmdb

import (
	"encoding/binary"
	"fmt"
)

const (
	walMagic      = 0x377f0682 // the lowest bit says in which order checksums are
	walVersion    = 3007000
	walHeaderSize = 32
	frameHeadSize = 24
)

// readLog finds out which pages the write-ahead log has newer than the
// database: those of all transactions that were finished. A log that was
// cut off ends at the last of them, as it does for SQLite.
func (p *pager) readLog(size int64) error {
	if size < walHeaderSize {
		return nil // nothing was written since it was emptied
	}
	head, err := readAt(p.wal, walHeaderSize, 0)
	if err != nil {
		return err
	}
	field := func(i int) uint32 { return binary.BigEndian.Uint32(head[4*i:]) }
	if field(0)&^1 != walMagic {
		return nil // never begun: SQLite takes it for empty too
	}
	if field(1) != walVersion {
		return fmt.Errorf("it is of version %d, which is not known: %w", field(1), errDamaged)
	}
	pageSize := int64(field(2))
	if pageSize < 512 || pageSize > 1<<16 || pageSize&(pageSize-1) != 0 {
		return fmt.Errorf("pages of %d bytes: %w", pageSize, errDamaged)
	}
	sum := checksum{order: binary.LittleEndian}
	if field(0)&1 == 1 {
		sum.order = binary.BigEndian
	}
	sum.add(head[:24])
	if !sum.is(head[24:]) {
		return nil // its beginning was not written whole, so nothing after it was finished
	}
	p.newer = map[int64]int64{}
	pending := map[int64]int64{}
	for at := int64(walHeaderSize); at+frameHeadSize+pageSize <= size; at += frameHeadSize + pageSize {
		frame, err := readAt(p.wal, frameHeadSize+pageSize, at)
		if err != nil {
			return err
		}
		sum.add(frame[:8])
		sum.add(frame[frameHeadSize:])
		// Frames of an earlier round of the log have other salts.
		if string(frame[8:16]) != string(head[16:24]) || !sum.is(frame[16:]) {
			break
		}
		pending[int64(binary.BigEndian.Uint32(frame))] = at + frameHeadSize
		if pages := binary.BigEndian.Uint32(frame[4:]); pages != 0 {
			for number, at := range pending {
				p.newer[number] = at
			}
			clear(pending)
			p.pages = int64(pages)
		}
	}
	if len(p.newer) > 0 {
		p.pageSize = pageSize
	}
	return nil
}

// A checksum is the running one of a log.
type checksum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

// add goes on over data, whose length is a multiple of 8.
func (c *checksum) add(data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		c.s0 += c.order.Uint32(data) + c.s1
		c.s1 += c.order.Uint32(data[4:]) + c.s0
	}
}

func (c *checksum) is(want []byte) bool {
	return c.s0 == binary.BigEndian.Uint32(want) && c.s1 == binary.BigEndian.Uint32(want[4:])
}
