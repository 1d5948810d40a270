package squashfs

import (
	"fmt"
	"math/bits"
)

// Compression is a way of storing blocks.
type Compression int

// The ways of compressing. Linux reads zstd since 4.14.
const (
	Zstd Compression = iota
	Gzip
)

func (c Compression) String() string {
	switch c {
	case Zstd:
		return "zstd"
	case Gzip:
		return "gzip"
	}
	return fmt.Sprintf("Compression(%d)", int(c))
}

// Options are what a file system is besides its tree, and what of that may be
// lost. The zero value loses nothing but nanoseconds.
type Options struct {
	Compression Compression
	// Level is 1 (fastest) to 4 (smallest) for zstd, where 0 is 2, and 1 to 9
	// for gzip, where 0 is 9.
	Level int
	// BlockSize is in bytes, a power of two from 4 KiB to 1 MiB; 0 is 128 KiB.
	BlockSize int
	// Time is that of the file system's making, in seconds since 1970.
	Time uint32

	ClampTimes bool // to 1970-01-01 and 2106-02-07
	DropACLs   bool // those of POSIX
}

const (
	defaultBlock = 128 << 10
	minBlock     = 4 << 10
	maxBlock     = 1 << 20
)

func (o *Options) check() error {
	if o.BlockSize == 0 {
		o.BlockSize = defaultBlock
	}
	most := 4
	switch o.Compression {
	case Zstd:
		if o.Level == 0 {
			o.Level = 2
		}
	case Gzip:
		most = 9
		if o.Level == 0 {
			o.Level = most
		}
	default:
		return fmt.Errorf("no compression %d: zstd and gzip are possible", int(o.Compression))
	}
	if o.Level < 1 || o.Level > most {
		return fmt.Errorf("a level of %d for %v: it must be 1 to %d", o.Level, o.Compression, most)
	}
	if !validBlock(int64(o.BlockSize)) {
		return fmt.Errorf("blocks of %d bytes: it must be a power of two from %d to %d", o.BlockSize, minBlock, maxBlock)
	}
	return nil
}

func validBlock(n int64) bool {
	return n >= minBlock && n <= maxBlock && bits.OnesCount64(uint64(n)) == 1
}
