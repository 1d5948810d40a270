package squashfs

import (
	"errors"
	"fmt"
)

type metaBlock struct {
	data []byte
	next uint64 // where the one behind it begins
}

const maxCached = 1024 // blocks of metadata

func (p *reader) metaBlock(at uint64) (*metaBlock, error) {
	if b, found := p.cache[at]; found {
		return b, nil
	}
	var head [2]byte
	if err := p.within(head[:], at); err != nil {
		return nil, err
	}
	size := little.Uint16(head[:])
	raw := make([]byte, size&^plainMeta)
	if len(raw) == 0 || len(raw) > metaSize {
		return nil, fmt.Errorf("a block of metadata of %d bytes", len(raw))
	}
	if err := p.within(raw, at+2); err != nil {
		return nil, err
	}
	b := &metaBlock{raw, at + 2 + uint64(len(raw))}
	if size&plainMeta == 0 {
		var err error
		if b.data, err = p.d.decompress(raw, metaSize); err != nil {
			return nil, err
		}
	}
	if len(b.data) == 0 {
		return nil, errors.New("a block of metadata that is empty")
	}
	if len(p.cache) == maxCached {
		clear(p.cache)
	}
	p.cache[at] = b
	return b, nil
}

// cursor reads metadata from a place on. After an error all that it gives is 0.
type cursor struct {
	p     *reader
	block *metaBlock
	at    int // in the block
	err   error
}

// cursor begins at a reference into a table.
func (p *reader) cursor(table, reference uint64) *cursor {
	c := &cursor{p: p}
	if start := reference >> 16; start >= p.s.used || table >= p.s.used {
		c.err = errTruncated
	} else if c.block, c.err = p.metaBlock(table + start); c.err == nil {
		if c.at = int(reference & 0xFFFF); c.at > len(c.block.data) {
			c.err = errTruncated
		}
	}
	return c
}

func (c *cursor) bytes(n int) []byte {
	out := make([]byte, n)
	for got := 0; got < n && c.err == nil; {
		if c.at == len(c.block.data) {
			next := c.block.next
			if c.block, c.err = c.p.metaBlock(next); c.err != nil {
				break
			}
			c.at = 0
		}
		k := copy(out[got:], c.block.data[c.at:])
		got += k
		c.at += k
	}
	if c.err != nil {
		clear(out)
	}
	return out
}

func (c *cursor) u16() uint16 { return little.Uint16(c.bytes(2)) }
func (c *cursor) u32() uint32 { return little.Uint32(c.bytes(4)) }
func (c *cursor) u64() uint64 { return little.Uint64(c.bytes(8)) }
