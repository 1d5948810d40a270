package squashfs

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Super is what the superblock of a squashfs 4.0 file system says, also of one
// that is compressed in a way that [Read] does not know.
type Super struct {
	Compression string // "gzip", "lzma", "lzo", "xz", "lz4" or "zstd"
	BlockSize   int    // bytes
	Used        int64  // bytes, without what fills up
	Time        uint32 // of its making, in seconds since 1970
	Inodes      int64
	Fragments   int64
	Owners      int  // different ones
	Xattrs      bool // there are extended attributes
	Exportable  bool // by NFS
}

// compressions are the names of the methods, from 1 on.
var compressions = []string{"", "gzip", "lzma", "lzo", "xz", "lz4", "zstd"}

// ReadSuper reads the superblock of a file system of at most size bytes.
func ReadSuper(r io.ReaderAt, size int64) (*Super, error) {
	b := make([]byte, superSize)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, max(0, size)), b); err != nil {
		return nil, fmt.Errorf("reading a squashfs superblock: %w", err)
	}
	s, err := parseSuper(b, size)
	if err != nil {
		return nil, fmt.Errorf("reading a squashfs superblock: %w", err)
	}
	return s, nil
}

func parseSuper(b []byte, size int64) (*Super, error) {
	method, flags, used := little.Uint16(b[20:]), little.Uint16(b[24:]), little.Uint64(b[40:])
	block := little.Uint32(b[12:])
	switch {
	case little.Uint32(b) != magic:
		return nil, errors.New("there is none")
	case little.Uint16(b[28:]) != 4 || little.Uint16(b[30:]) != 0:
		return nil, fmt.Errorf("it is of version %d.%d, and only 4.0 is known", little.Uint16(b[28:]), little.Uint16(b[30:]))
	case method == 0 || int(method) >= len(compressions):
		return nil, fmt.Errorf("it is compressed by method %d, which is not known", method)
	case !validBlock(int64(block)) || int(little.Uint16(b[22:])) != bits.TrailingZeros32(block):
		return nil, fmt.Errorf("its blocks have %d bytes", block)
	case used < superSize || used > uint64(size):
		return nil, fmt.Errorf("it says to have %d bytes, and there are %d", used, size)
	}
	return &Super{
		Compression: compressions[method], BlockSize: int(block), Used: int64(used), Time: little.Uint32(b[8:]),
		Inodes: int64(little.Uint32(b[4:])), Fragments: int64(little.Uint32(b[16:])), Owners: int(little.Uint16(b[26:])),
		Xattrs: little.Uint64(b[56:]) != none64, Exportable: flags&flagExport != 0,
	}, nil
}
