package inspect

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

func newStream(r io.Reader) *stream {
	c := &counter{r: r}
	return &stream{bufio.NewReaderSize(c, bufferSize), c, false}
}

// oneStream decompresses one gzip member or zstd frame and reads nothing behind
// it. Of other compressions, what follows is taken for a part of the stream.
func oneStream(ending string, r *bufio.Reader) (io.ReadCloser, error) {
	switch ending {
	case ".gz":
		z, err := gzip.NewReader(r) // reads no further, since r gives single bytes
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return z, nil
	case ".zst":
		return unpack(ending, &frame{r: r})
	}
	return unpack(ending, r)
}

// frame is the bytes of one frame of zstd, as RFC 8878 lays it down.
type frame struct {
	r        *bufio.Reader
	piece    []byte // what was read and not yet given
	begun    bool
	checksum bool
	last     bool
	end      bool
}

const (
	maxBlock   = 128 << 10
	rawBlock   = 0
	rleBlock   = 1
	lzBlock    = 2
	zstdNumber = 0xFD2FB528
)

var errFrame = errors.New("a frame of zstd is not as it must be")

// Read implements [io.Reader].
func (f *frame) Read(b []byte) (int, error) {
	for len(f.piece) == 0 {
		if f.end {
			return 0, io.EOF
		}
		if err := f.next(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n := copy(b, f.piece)
	f.piece = f.piece[n:]
	return n, nil
}

// next reads the header, a block, or the sum.
func (f *frame) next() error {
	switch {
	case !f.begun:
		f.begun = true
		return f.header()
	case f.last:
		f.end = true
		if f.checksum {
			return f.take(4)
		}
		return nil
	}
	head, err := f.r.Peek(3)
	if err != nil {
		return err
	}
	h := uint32(head[0]) | uint32(head[1])<<8 | uint32(head[2])<<16
	f.last = h&1 != 0
	size := int(h >> 3)
	switch h >> 1 & 3 {
	case rleBlock:
		size = 1
	case rawBlock, lzBlock:
		if size > maxBlock {
			return errFrame
		}
	default:
		return errFrame
	}
	return f.take(3 + size)
}

func (f *frame) header() error {
	head, err := f.r.Peek(5)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(head) != zstdNumber {
		return errFrame // such as one to be skipped, which no archive begins with
	}
	descriptor := head[4]
	f.checksum = descriptor&4 != 0
	single := descriptor&0x20 != 0
	size := 5 + []int{0, 1, 2, 4}[descriptor&3] + []int{0, 2, 4, 8}[descriptor>>6]
	if !single {
		size++ // the window
	} else if descriptor>>6 == 0 {
		size++ // the size of the content
	}
	return f.take(size)
}

// take reads a piece.
func (f *frame) take(n int) error {
	f.piece = make([]byte, n)
	_, err := io.ReadFull(f.r, f.piece)
	return err
}
