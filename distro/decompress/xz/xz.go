package xz

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
)

const (
	magic       = "\xfd7zXZ\x00"
	footMagic   = "YZ"
	headerBytes = 12
	lzma2ID     = 0x21
	// maxBlockHeader is what a block's header may have, in bytes.
	maxBlockHeader = 1024
	// maxWindowCode is the largest of the codes for windows.
	maxWindowCode = 40
)

// HeadBytes is how much of a file [Fits] wants to see.
const HeadBytes = headerBytes + maxBlockHeader

// checks are the kinds of checks of blocks that are known.
var checks = map[byte]func() hash.Hash{
	0:  func() hash.Hash { return nil },
	1:  func() hash.Hash { return crc32.NewIEEE() },
	4:  func() hash.Hash { return crc64.New(crc64Table) },
	10: sha256.New,
}

var crc64Table = crc64.MakeTable(crc64.ECMA)

// Fits reports whether a file that begins so, with [HeadBytes] or all that it
// has, is one that this package reads.
func Fits(head []byte) bool {
	if len(head) < headerBytes+1 || string(head[:6]) != magic || head[6] != 0 || checks[head[7]] == nil {
		return false
	}
	block := head[headerBytes:]
	if size := blockHeaderSize(block[0]); block[0] != 0 && len(block) >= size {
		_, err := parseBlockHeader(block[:size])
		return err == nil
	}
	return block[0] == 0
}

// A Reader decompresses a file.
type Reader struct {
	in      *counting
	most    uint32
	lzma    *lzma2
	check   hash.Hash // nil for none
	sum     hash.Hash // over the sizes of blocks, as the index has them
	flags   [2]byte
	records uint64
	block   blockHeader
	began   int64 // where the block's header begins
	data    int64 // where its data begins
	out     int64 // what it has given
	inBlock bool
	err     error
}

// counting counts what is read.
type counting struct {
	r *bufio.Reader
	n int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// NewReader returns a reader of the file in r, which must want no window of more
// than so many bytes.
func NewReader(r io.Reader, most uint32) (*Reader, error) {
	x := &Reader{in: &counting{r: bufio.NewReaderSize(r, 64<<10)}, most: most, lzma: &lzma2{}}
	if err := x.streamHeader(); err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	return x, nil
}

// Read implements [io.Reader].
func (x *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for x.err == nil {
		if d := x.lzma; x.inBlock && d.read < d.pos {
			n := copy(b, d.buf[d.read:d.pos])
			d.read += n
			return n, nil
		}
		if err := x.more(); err == io.EOF {
			x.err = err
		} else if err != nil {
			x.err = fmt.Errorf("xz: %w", err)
		}
	}
	return 0, x.err
}

// more decodes a chunk, or what is between blocks and streams.
func (x *Reader) more() error {
	if !x.inBlock {
		return x.between()
	}
	switch err := x.lzma.next(); {
	case err == io.EOF:
		return x.endBlock()
	case err != nil:
		return err
	}
	fresh := x.lzma.buf[x.lzma.read:x.lzma.pos]
	x.out += int64(len(fresh))
	if x.check != nil {
		x.check.Write(fresh)
	}
	return nil
}

func (x *Reader) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(x.in, b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (x *Reader) streamHeader() error {
	h, err := x.bytes(headerBytes)
	if err != nil {
		return err
	}
	if string(h[:6]) != magic || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errors.New("this is no xz file")
	}
	if h[6] != 0 || checks[h[7]] == nil {
		return fmt.Errorf("the check %d is not known", h[7])
	}
	x.flags, x.check = [2]byte{h[6], h[7]}, checks[h[7]]()
	x.sum, x.records = sha256.New(), 0
	return nil
}

// between reads what follows a block or a stream's header: a block's header or
// the index.
func (x *Reader) between() error {
	x.began = x.in.n
	first, err := x.bytes(1)
	if err != nil {
		return err
	}
	if first[0] == 0 {
		return x.index()
	}
	rest, err := x.bytes(blockHeaderSize(first[0]) - 1)
	if err != nil {
		return err
	}
	if x.block, err = parseBlockHeader(append(first, rest...)); err != nil {
		return err
	}
	if x.block.window > x.most {
		return fmt.Errorf("it wants %d bytes of memory, more than %d", x.block.window, x.most)
	}
	x.lzma.begin(x.in, x.block.window)
	x.inBlock, x.data, x.out = true, x.in.n, 0
	if x.check != nil {
		x.check.Reset()
	}
	return nil
}

// endBlock holds a block to what its header and its check say.
func (x *Reader) endBlock() error {
	packed := x.in.n - x.data
	if x.block.packed >= 0 && x.block.packed != packed || x.block.plain >= 0 && x.block.plain != x.out {
		return errors.New("a block has other sizes than its header says")
	}
	if err := x.zeros(int(-packed & 3)); err != nil {
		return err
	}
	unpadded := x.in.n - x.began - -packed&3
	var want []byte
	if x.check != nil {
		want = x.check.Sum(nil)
		if x.flags[1] != 10 { // the others are little-endian
			for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
				want[i], want[j] = want[j], want[i]
			}
		}
	}
	got, err := x.bytes(len(want))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("the check of a block fails")
	}
	x.records++
	note(x.sum, uint64(unpadded+int64(len(want))), uint64(x.out))
	x.inBlock = false
	return nil
}

// note adds the sizes of a block to a sum.
func note(sum hash.Hash, unpadded, plain uint64) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], unpadded)
	binary.LittleEndian.PutUint64(b[8:], plain)
	sum.Write(b[:])
}

func (x *Reader) zeros(n int) error {
	b, err := x.bytes(n)
	if err == nil && !bytes.Equal(b, make([]byte, n)) {
		err = errors.New("the padding is not of zeros")
	}
	return err
}
