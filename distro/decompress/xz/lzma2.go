package xz

import (
	"errors"
	"io"
)

var errDamaged = errors.New("the compressed data is damaged")

// lzma2 decodes the chunks of a block.
type lzma2 struct {
	in     io.Reader
	window uint32 // of the dictionary, in bytes
	model  model
	input  [inputBytes]byte

	buf    []byte
	origin int // where the position of the format is 0
	start  int // where the history begins
	pos    int // how far it was decoded
	read   int // how far it was read

	begun bool // a dictionary reset was met
	known bool // the properties were
	fresh bool // the state is as it has to be for a chunk without a reset
	ended bool
}

// slideBytes is how much is decoded before the history is moved.
const slideBytes = 4 << 20

// begin makes the decoder one of a new block.
func (d *lzma2) begin(in io.Reader, window uint32) {
	d.in, d.window = in, window
	d.origin, d.start, d.pos, d.read = 0, 0, 0, 0
	d.begun, d.known, d.fresh, d.ended = false, false, false, false
}

// next decodes a chunk after all was read. io.EOF is the end of the block.
func (d *lzma2) next() error {
	if d.ended {
		return io.EOF
	}
	head := d.input[:6]
	if err := d.fill(head[:1]); err != nil {
		return err
	}
	control := head[0]
	switch {
	case control == 0:
		d.ended = true
		return io.EOF
	case control >= 0xe0 || control == 1:
		d.begun = true
		d.known = false
		d.origin, d.start = d.pos, d.pos
	case !d.begun:
		return errDamaged
	}
	if control >= 0x80 {
		return d.packed(control, head)
	}
	if control > 2 {
		return errDamaged
	}
	if err := d.fill(head[:2]); err != nil {
		return err
	}
	n := int(head[0])<<8 + int(head[1]) + 1
	d.room(n)
	if err := d.fill(d.buf[d.pos : d.pos+n]); err != nil {
		return err
	}
	d.pos += n
	return nil
}

// packed decodes a chunk that is compressed.
func (d *lzma2) packed(control byte, head []byte) error {
	if err := d.fill(head[:4]); err != nil {
		return err
	}
	n := int(control&0x1f)<<16 + int(head[0])<<8 + int(head[1]) + 1
	size := int(head[2])<<8 + int(head[3]) + 1
	switch {
	case control >= 0xc0:
		if err := d.fill(head[:1]); err != nil {
			return err
		}
		if !d.properties(head[0]) {
			return errDamaged
		}
		d.model.reset()
	case control >= 0xa0 && d.known:
		d.model.reset()
	case !d.known || !d.fresh:
		return errDamaged
	}
	d.fresh = true
	if err := d.fill(d.input[:size]); err != nil {
		return err
	}
	clear(d.input[size : size+mostPerSymbol])
	d.room(n)
	if size < 5 || !d.model.decode(&d.input, size, d.buf, d.start, d.origin, d.pos, d.pos+n, d.window) {
		return errDamaged
	}
	d.pos += n
	return nil
}

func (d *lzma2) properties(b byte) bool {
	if b >= 9*5*5 {
		return false
	}
	lc, lp, pb := uint32(b%9), uint32(b/9%5), uint32(b/45)
	if lc+lp > 4 {
		return false
	}
	d.model.lc, d.model.lpMask, d.model.pbMask = lc, 1<<lp-1, 1<<pb-1
	d.known = true
	return true
}

// fill reads all of b.
func (d *lzma2) fill(b []byte) error {
	_, err := io.ReadFull(d.in, b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// room sees to it that n bytes more fit the buffer. All that was decoded has
// been read.
func (d *lzma2) room(n int) {
	if d.pos+n <= len(d.buf) {
		return
	}
	if shift := d.pos - int(d.window); shift > 0 {
		copy(d.buf, d.buf[shift:d.pos])
		d.pos, d.read, d.origin = d.pos-shift, d.read-shift, d.origin-shift
		d.start = max(d.start-shift, 0)
	}
	most := int(d.window) + slideBytes
	if d.pos+n > len(d.buf) || d.pos == int(d.window) && len(d.buf) < most {
		size := most
		if d.pos < int(d.window) {
			size = min(max(2*len(d.buf), d.pos+n, 256<<10), most)
		}
		grown := make([]byte, size)
		copy(grown, d.buf[:d.pos])
		d.buf = grown
	}
}
