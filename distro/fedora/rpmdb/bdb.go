package rpmdb

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"os"
)

// Berkeley DB's hash as rpm used it until 2020: pages of pairs of number and
// header, most headers in a chain of pages of their own. Numbers are in the
// byte order of the machine that wrote them.
const (
	bdbHashMagic    = 0x00061561
	bdbMinVersion   = 7
	bdbMaxVersion   = 10
	bdbPageHead     = 26
	bdbHashMeta     = 8
	bdbHashUnsorted = 2
	bdbHash         = 13
	bdbOverflow     = 7
	bdbInPage       = 1 // kinds of items
	bdbOffPage      = 3
)

type bdb struct {
	db       io.ReaderAt
	order    binary.ByteOrder
	pageSize int64
	last     int64
	visited  int64 // pages of chains read so far
}

func openBDB(db io.ReaderAt, size int64, _ func(string) (*os.File, error)) (iter.Seq2[[]byte, error], error) {
	return bdbBlobs(db, size)
}

func bdbBlobs(db io.ReaderAt, size int64) (iter.Seq2[[]byte, error], error) {
	head, err := readAt(db, 72, 0)
	if err != nil {
		return nil, err
	}
	b := &bdb{db: db, order: binary.LittleEndian}
	if b.order.Uint32(head[12:]) != bdbHashMagic {
		b.order = binary.BigEndian
	}
	if b.order.Uint32(head[12:]) != bdbHashMagic || head[25] != bdbHashMeta {
		return nil, fmt.Errorf("it is no hash of Berkeley DB: %w", errDamaged)
	}
	if v := b.order.Uint32(head[16:]); v < bdbMinVersion || v > bdbMaxVersion {
		return nil, fmt.Errorf("it is of version %d of Berkeley DB's hash, which is not known", v)
	}
	if head[24] != 0 {
		return nil, fmt.Errorf("it is encrypted, which rpm never does: %w", errDamaged)
	}
	b.pageSize, b.last = int64(b.order.Uint32(head[20:])), int64(b.order.Uint32(head[32:]))
	if b.pageSize < 512 || b.pageSize > 1<<16 || b.pageSize&(b.pageSize-1) != 0 {
		return nil, fmt.Errorf("pages of %d bytes: %w", b.pageSize, errDamaged)
	}
	if (b.last+1)*b.pageSize > size {
		return nil, fmt.Errorf("it ends before its last page, %d: %w", b.last, errDamaged)
	}
	return func(yield func([]byte, error) bool) {
		for number := int64(1); number <= b.last; number++ {
			more, err := b.hashPage(number, yield)
			if err != nil {
				yield(nil, err)
			}
			if err != nil || !more {
				return
			}
		}
	}, nil
}

// hashPage yields the headers of a page, if it is one of pairs.
func (b *bdb) hashPage(number int64, yield func([]byte, error) bool) (more bool, err error) {
	page, err := readAt(b.db, b.pageSize, number*b.pageSize)
	if err != nil {
		return false, err
	}
	if page[25] != bdbHash && page[25] != bdbHashUnsorted {
		return true, nil
	}
	n := int(b.order.Uint16(page[20:]))
	if n%2 != 0 || bdbPageHead+2*n > len(page) {
		return false, fmt.Errorf("page %d has %d items: %w", number, n, errDamaged)
	}
	item := func(i int) ([]byte, error) {
		at := func(i int) int { return int(b.order.Uint16(page[bdbPageHead+2*i:])) }
		end := len(page)
		if i > 0 {
			end = at(i - 1) // items are put in from the end of the page
		}
		if at(i) < bdbPageHead+2*n || at(i) >= end || end > len(page) {
			return nil, fmt.Errorf("page %d, item %d: %w", number, i, errDamaged)
		}
		return page[at(i):end], nil
	}
	for i := 0; i < n; i += 2 {
		key, err := item(i)
		if err != nil {
			return false, err
		}
		value, err := item(i + 1)
		if err != nil {
			return false, err
		}
		if key[0] != bdbInPage || len(key) != 5 {
			return false, fmt.Errorf("page %d has a key that is no number: %w", number, errDamaged)
		}
		if b.order.Uint32(key[1:]) == 0 {
			continue // the highest number so far
		}
		blob, err := b.value(value)
		if err != nil {
			return false, fmt.Errorf("page %d: %w", number, err)
		}
		if !yield(blob, nil) {
			return false, nil
		}
	}
	return true, nil
}

// value reads what an item says, in it or in a chain of pages.
func (b *bdb) value(item []byte) ([]byte, error) {
	switch {
	case item[0] == bdbInPage:
		return item[1:], nil
	case item[0] != bdbOffPage || len(item) < 12:
		return nil, fmt.Errorf("an item of kind %d: %w", item[0], errDamaged)
	}
	number, size := int64(b.order.Uint32(item[4:])), int64(b.order.Uint32(item[8:]))
	if size > maxBlob || size > b.last*b.pageSize {
		return nil, fmt.Errorf("a package of %d bytes: %w", size, errDamaged)
	}
	out := make([]byte, 0, size)
	for int64(len(out)) < size {
		if b.visited++; b.visited > b.last {
			return nil, fmt.Errorf("its pages go round in a circle: %w", errDamaged)
		}
		if number < 1 || number > b.last {
			return nil, fmt.Errorf("there is no page %d: %w", number, errDamaged)
		}
		page, err := readAt(b.db, b.pageSize, number*b.pageSize)
		if err != nil {
			return nil, err
		}
		used := int64(b.order.Uint16(page[22:]))
		if page[25] != bdbOverflow || used == 0 || bdbPageHead+used > b.pageSize || int64(len(out))+used > size {
			return nil, fmt.Errorf("page %d of a package: %w", number, errDamaged)
		}
		out = append(out, page[bdbPageHead:bdbPageHead+used]...)
		number = int64(b.order.Uint32(page[16:]))
	}
	return out, nil
}
