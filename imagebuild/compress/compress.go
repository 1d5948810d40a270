// Package compress makes streams smaller, always into the same bytes: they
// depend on the input and the [Profile] alone, and not on the number of CPUs,
// the sizes of the writes, the time or the host, while all CPUs are used.
//
// Profiles are few and fixed, since each is held by golden digests: another
// level, block size or version of an encoder is another profile. Their String is
// what provenance records, and all that is needed to make the bytes again.
//
// File systems compress blocks and not streams: [InOrder] shares those among all
// CPUs.
//
// It refuses to decompress, which is for the readers of formats, and to set
// names, times or comments in headers.
package compress

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// The versions of the encoders, which decide the bytes as much as the levels
// do. A test holds them to those of go.mod.
const (
	compressVersion = "v1.20.3"
	pgzipVersion    = "v1.3.0"
)

// Profile is one way of compressing. The zero Profile is [None].
type Profile struct{ *profile }

type profile struct {
	name      string
	algorithm string
	level     int
	block     int // bytes compressed by one goroutine at a time
	window    int // bytes that a match may lie back
	encoder   string
}

const (
	gzipEncoder = "klauspost/pgzip@" + pgzipVersion + ",klauspost/compress@" + compressVersion
	zstdEncoder = "klauspost/compress@" + compressVersion
)

// The profiles. A gzip file is one member, with no name, the time 0 and the
// system 255. A zstd file is one frame with a checksum. Both can thus be read by the
// kernel, as an initramfs, too.
var (
	None       = Profile{}
	Gzip       = Profile{&profile{"gzip", "gzip", 6, 1 << 20, 32 << 10, gzipEncoder}}
	GzipFast   = Profile{&profile{"gzip-fast", "gzip", 1, 1 << 20, 32 << 10, gzipEncoder}}
	GzipBest   = Profile{&profile{"gzip-best", "gzip", 9, 1 << 20, 32 << 10, gzipEncoder}}
	Zstd       = Profile{&profile{"zstd", "zstd", int(zstd.SpeedDefault), 8 << 20, 2 << 20, zstdEncoder}}
	ZstdFast   = Profile{&profile{"zstd-fast", "zstd", int(zstd.SpeedFastest), 8 << 20, 2 << 20, zstdEncoder}}
	ZstdBetter = Profile{&profile{"zstd-better", "zstd", int(zstd.SpeedBetterCompression), 8 << 20, 2 << 20, zstdEncoder}}
	ZstdBest   = Profile{&profile{"zstd-best", "zstd", int(zstd.SpeedBestCompression), 8 << 20, 2 << 20, zstdEncoder}}
)

// Profiles are all that there are.
var Profiles = []Profile{None, Gzip, GzipFast, GzipBest, Zstd, ZstdFast, ZstdBetter, ZstdBest}

// Named is the profile of a name, as [Profile.Name] gives it.
func Named(name string) (Profile, error) {
	names := ""
	for _, p := range Profiles {
		if p.Name() == name {
			return p, nil
		}
		names += " " + p.Name()
	}
	return None, fmt.Errorf("no compression is named %q; there are%s", name, names)
}

// Name is what people call the profile.
func (p Profile) Name() string {
	if p.profile == nil {
		return "none"
	}
	return p.name
}

// String is all that decides the bytes, for provenance.
func (p Profile) String() string {
	if p.profile == nil {
		return "none"
	}
	return fmt.Sprintf("%s;level=%d;block=%d;window=%d;encoder=%s", p.algorithm, p.level, p.block, p.window, p.encoder)
}

// Algorithm is "gzip", "zstd", or "" for none: what media types end in.
func (p Profile) Algorithm() string {
	if p.profile == nil {
		return ""
	}
	return p.algorithm
}

// Ending is that of file names: ".gz", ".zst" or "".
func (p Profile) Ending() string {
	return map[string]string{"gzip": ".gz", "zstd": ".zst"}[p.Algorithm()]
}

// NewWriter compresses what is written to it into w. It must be closed, also
// after an error, and w is not closed with it. Errors of w come from a later
// Write, or from Close.
func (p Profile) NewWriter(w io.Writer) (io.WriteCloser, error) {
	switch p.Algorithm() {
	case "":
		return plain{w}, nil
	case "gzip":
		return p.newGzip(w)
	}
	return p.newZstd(w)
}

// Bytes is b compressed.
func (p Profile) Bytes(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := p.NewWriter(&out)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(b)
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	return out.Bytes(), err
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

func (p Profile) newGzip(w io.Writer) (io.WriteCloser, error) {
	z, err := pgzip.NewWriterLevel(w, p.level)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if err := z.SetConcurrency(p.block, workers()); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	z.ModTime = time.Unix(0, 0) // the zero Time would be written as some moment
	z.OS = 255
	return writeCloser{z}, nil
}

// newZstd has blocks compressed concurrently even where there is one CPU only,
// since that divides the stream and decides the bytes.
func (p Profile) newZstd(w io.Writer) (io.WriteCloser, error) {
	z, err := zstd.NewWriter(w,
		zstd.WithEncoderLevel(zstd.EncoderLevel(p.level)), zstd.WithWindowSize(p.window),
		zstd.WithEncoderConcurrency(workers()), zstd.WithConcurrentBlocks(true),
		zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return writeCloser{z}, nil
}

// writeCloser hides an encoder's other ways of taking input, so that there is
// one only whose bytes have to be held.
type writeCloser struct{ io.WriteCloser }

// workers bounds the memory: each compresses a block of its own.
func workers() int { return min(max(runtime.GOMAXPROCS(0), 2), 8) }
