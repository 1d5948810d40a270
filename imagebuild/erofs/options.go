package erofs

import (
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Compression is a way of storing the content of files.
type Compression int

// The ways of compressing.
const (
	None Compression = iota
	LZ4              // since Linux 5.3
	Zstd             // since Linux 6.10
)

func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("Compression(%d)", int(c))
}

// Options are what a file system is besides its tree.
type Options struct {
	Compression Compression
	// Level of zstd: 1 (fastest) to 4 (smallest), 0 is 2.
	Level int
	UUID  [16]byte
	// Label is the name of the volume, of up to 16 bytes without NUL.
	Label string
	// BuildTime is that of the file system. Files of that very time need
	// smaller inodes.
	BuildTime tree.Time
}

func (o *Options) check() error {
	switch {
	case o.Compression < None || o.Compression > Zstd:
		return fmt.Errorf("no compression %d: none, lz4 and zstd are possible", int(o.Compression))
	case o.Level != 0 && o.Compression != Zstd || o.Level < 0 || o.Level > 4:
		return fmt.Errorf("a level of %d for %v: only zstd has levels, 1 to 4", o.Level, o.Compression)
	case len(o.Label) > labelSize:
		return fmt.Errorf("the label %q has %d bytes: at most %d are possible", o.Label, len(o.Label), labelSize)
	case o.BuildTime.Nsec >= 1e9:
		return fmt.Errorf("a build time with %d nanoseconds", o.BuildTime.Nsec)
	}
	for i := range len(o.Label) {
		if o.Label[i] == 0 {
			return fmt.Errorf("the label %q has a NUL in it", o.Label)
		}
	}
	return nil
}
