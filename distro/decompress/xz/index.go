package xz

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// A blockHeader is what stands before a block.
type blockHeader struct {
	packed, plain int64 // sizes, -1 where they are not told
	window        uint32
}

// blockHeaderSize is what the first byte of a header says of the whole.
func blockHeaderSize(first byte) int { return (int(first) + 1) * 4 }

// parseBlockHeader reads a header that is there as a whole.
func parseBlockHeader(h []byte) (blockHeader, error) {
	out := blockHeader{packed: -1, plain: -1}
	end := len(h) - 4
	if end < 4 || crc32.ChecksumIEEE(h[:end]) != binary.LittleEndian.Uint32(h[end:]) {
		return out, errors.New("the header of a block is damaged")
	}
	flags, r := h[1], bytes.NewReader(h[2:end])
	if flags&0x3f != 0 {
		return out, errors.New("a block has other filters than LZMA2")
	}
	for _, f := range []struct {
		bit  byte
		size *int64
	}{{0x40, &out.packed}, {0x80, &out.plain}} {
		if flags&f.bit != 0 {
			n, err := number(r)
			if err != nil {
				return out, err
			}
			*f.size = int64(n)
		}
	}
	id, err := number(r)
	if err != nil || id != lzma2ID {
		return out, fmt.Errorf("a block has the filter %#x, which is not LZMA2", id)
	}
	size, err := number(r)
	if err != nil || size != 1 {
		return out, errors.New("a block's filter has properties of another size")
	}
	code, err := r.ReadByte()
	if err != nil || code > maxWindowCode {
		return out, fmt.Errorf("a block has a window of no known size, %d", code)
	}
	out.window = 1<<32 - 1
	if code < maxWindowCode {
		out.window = (2 | uint32(code)&1) << (code/2 + 11)
	}
	for r.Len() > 0 {
		if b, err := r.ReadByte(); err != nil || b != 0 {
			return out, errors.New("the header of a block has something behind its end")
		}
	}
	return out, nil
}

// number reads an integer of up to 63 bits in its shortest form.
func number(r io.ByteReader) (uint64, error) {
	var n uint64
	for shift := 0; shift < 63; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		n |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			if b == 0 && shift > 0 {
				break
			}
			return n, nil
		}
	}
	return 0, errors.New("a number is not well formed")
}

// summing takes the CRC of what is read byte by byte.
type summing struct {
	x   *Reader
	crc hash.Hash32
	n   int64
}

func (s *summing) ReadByte() (byte, error) {
	b, err := s.x.in.r.ReadByte()
	if err != nil {
		return 0, err
	}
	s.x.in.n++
	s.n++
	s.crc.Write([]byte{b})
	return b, nil
}

// index holds the blocks to the index, of which the first byte was read, and
// reads the end of the stream.
func (x *Reader) index() error {
	s := &summing{x, crc32.NewIEEE(), 1}
	s.crc.Write([]byte{0})
	records, err := number(s)
	if err != nil {
		return err
	}
	if records != x.records {
		return errors.New("the index has another number of blocks")
	}
	sum := sha256.New()
	for range records {
		unpadded, err := number(s)
		if err != nil {
			return err
		}
		plain, err := number(s)
		if err != nil {
			return err
		}
		note(sum, unpadded, plain)
	}
	if !bytes.Equal(sum.Sum(nil), x.sum.Sum(nil)) {
		return errors.New("the index has other sizes of blocks")
	}
	for s.n&3 != 0 {
		if b, err := s.ReadByte(); err != nil || b != 0 {
			return errors.New("the padding of the index is not of zeros")
		}
	}
	crc, err := x.bytes(4)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(crc) != s.crc.Sum32() {
		return errors.New("the index is damaged")
	}
	if err := x.footer(s.n + 4); err != nil {
		return err
	}
	return x.nextStream()
}

// footer reads the end of a stream.
func (x *Reader) footer(index int64) error {
	f, err := x.bytes(headerBytes)
	if err != nil {
		return err
	}
	if string(f[10:]) != footMagic || crc32.ChecksumIEEE(f[4:10]) != binary.LittleEndian.Uint32(f) ||
		(int64(binary.LittleEndian.Uint32(f[4:]))+1)*4 != index || [2]byte(f[8:10]) != x.flags {
		return errors.New("the end of the stream is damaged")
	}
	return nil
}

// nextStream goes on to another stream, if there is one; io.EOF says that there
// is none. Between streams, and after the last, may be zeros, four at a time.
func (x *Reader) nextStream() error {
	for {
		head, err := x.in.r.Peek(4)
		switch {
		case len(head) == 0 && err == io.EOF:
			return io.EOF
		case err == io.EOF:
			return errors.New("something follows the end")
		case err != nil:
			return err
		}
		if !bytes.Equal(head, make([]byte, 4)) {
			return x.streamHeader()
		}
		if err := x.zeros(4); err != nil {
			return err
		}
	}
}
