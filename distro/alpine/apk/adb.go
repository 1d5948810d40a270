package apk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/samebits/samebits/distro/decompress"
)

// The file format of apk 3: "ADB." and a schema, then blocks. A block begins
// with four bytes, its kind in the upper two bits and its size in the others,
// and is padded to eight bytes. All numbers are little-endian.
const (
	schemaIndex   = 0x78646e69 // "indx"
	schemaPackage = 0x676b6370 // "pckg"

	blockADB  = 0
	blockSig  = 1
	blockData = 2
	blockExt  = 3 // the kind is in the other bits, and a longer size follows

	blockAlignment = 8

	maxADB            = 256 << 20 // of the block that describes the packages
	maxSignatureBlock = 4096
)

// An adbFile reads the blocks of a file in their order.
type adbFile struct {
	raw    *bufio.Reader // as stored
	plain  *bufio.Reader // unpacked
	close  func() error
	schema uint32
	next   int // the least kind that the next block may have
	left   io.LimitedReader
	pad    int64 // bytes after what is left of the block
}

// openADB reads how the file is compressed and what it holds.
func openADB(raw *bufio.Reader) (*adbFile, error) {
	f := &adbFile{raw: raw, plain: raw, close: func() error { return nil }}
	magic, err := raw.Peek(4)
	if err != nil {
		return nil, unpackError(err)
	}
	if magic[3] != '.' {
		if err := f.unpack(magic[3]); err != nil {
			return nil, err
		}
	}
	var head [8]byte
	if _, err := io.ReadFull(f.plain, head[:]); err != nil {
		f.close()
		return nil, unpackError(err)
	}
	if string(head[:4]) != "ADB." {
		f.close()
		return nil, malformed("it is no ADB file inside")
	}
	f.schema = binary.LittleEndian.Uint32(head[4:])
	return f, nil
}

// unpack puts the decompressor before the file that the fourth byte asks for:
// "ADBd" is followed by a deflate stream, "ADBc" by an algorithm, a level and
// the stream.
func (f *adbFile) unpack(kind byte) error {
	const none, deflate, zstd = 0, 1, 2
	algorithm := byte(deflate)
	skip := 4
	switch kind {
	case 'd':
	case 'c':
		head, err := f.raw.Peek(6)
		if err != nil {
			return unpackError(err)
		}
		algorithm, skip = head[4], 6
	default:
		return malformed("it is no ADB file of a kind that is known")
	}
	if _, err := f.raw.Discard(skip); err != nil {
		return unpackError(err)
	}
	switch algorithm {
	case none:
	case deflate:
		z := flate.NewReader(f.raw)
		f.plain, f.close = bufio.NewReaderSize(z, 64<<10), z.Close
	case zstd:
		z, err := decompress.Open(".zst", f.raw)
		if err != nil {
			return unpackError(err)
		}
		f.plain, f.close = bufio.NewReaderSize(z, 64<<10), z.Close
	default:
		return malformed("the compression %d is not known", algorithm)
	}
	return nil
}

// block moves on to the next block, past what was left of the one before, and
// returns its kind, its size and its contents; io.EOF at the end of the file.
// There is one block of kind ADB, then those of signatures, then of data.
func (f *adbFile) block() (kind int, size int64, r io.Reader, err error) {
	if err := f.skip(); err != nil {
		return 0, 0, nil, err
	}
	if _, err := f.plain.Peek(1); errors.Is(err, io.EOF) {
		return 0, 0, nil, f.end()
	}
	var head [16]byte
	if _, err := io.ReadFull(f.plain, head[:4]); err != nil {
		return 0, 0, nil, unpackError(err)
	}
	word := binary.LittleEndian.Uint32(head[:])
	kind, size = int(word>>30), int64(word&0x3fffffff)
	headSize := int64(4)
	if kind == blockExt {
		if _, err := io.ReadFull(f.plain, head[4:]); err != nil {
			return 0, 0, nil, unpackError(err)
		}
		if binary.LittleEndian.Uint32(head[4:]) != 0 {
			return 0, 0, nil, malformed("a block's reserved bytes are not zero")
		}
		kind, size, headSize = int(word&0x3fffffff), int64(binary.LittleEndian.Uint64(head[8:])), 16
	}
	if size < headSize || size > maxPackage {
		return 0, 0, nil, malformed("a block has %d bytes", size)
	}
	if kind > blockData || kind < f.next || kind != blockADB && f.next == blockADB {
		return 0, 0, nil, malformed("a block of kind %d where none may be", kind)
	}
	f.next = max(kind, blockSig)
	f.pad = -size & (blockAlignment - 1)
	size -= headSize
	f.left = io.LimitedReader{R: f.plain, N: size}
	return kind, size, &f.left, nil
}

// skip passes over the rest of a block and its padding, which must be zero.
func (f *adbFile) skip() error {
	if _, err := io.Copy(io.Discard, &f.left); err != nil {
		return unpackError(err)
	}
	if f.left.N > 0 {
		return unpackError(io.ErrUnexpectedEOF)
	}
	for ; f.pad > 0; f.pad-- {
		c, err := f.plain.ReadByte()
		if err != nil {
			return unpackError(err)
		}
		if c != 0 {
			return malformed("the padding between blocks is not zero")
		}
	}
	return nil
}

// end returns io.EOF if nothing follows what is compressed.
func (f *adbFile) end() error {
	if f.next == blockADB {
		return malformed("it has no block")
	}
	if _, err := f.raw.ReadByte(); err == nil {
		return malformed("bytes follow its end")
	} else if !errors.Is(err, io.EOF) {
		return unpackError(err)
	}
	return io.EOF
}

// database reads the first block.
func (f *adbFile) database() ([]byte, error) {
	_, size, r, err := f.block()
	if errors.Is(err, io.EOF) {
		return nil, malformed("it has no block")
	}
	if err != nil {
		return nil, err
	}
	if size > maxADB || size < adbHeader {
		return nil, malformed("its first block has %d bytes", size)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, unpackError(err)
	}
	if int64(len(data)) != size {
		return nil, unpackError(io.ErrUnexpectedEOF)
	}
	if data[0] != 0 {
		return nil, malformed("it wants a reader of version %d; 0 is known", data[0])
	}
	return data, nil
}
