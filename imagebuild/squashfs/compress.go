package squashfs

import (
	"bytes"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// compressor compresses blocks, for one goroutine.
type compressor interface {
	// compress appends b, made smaller, to dst.
	compress(dst, b []byte) []byte
}

func (o *Options) newCompressor() compressor {
	if o.Compression == Gzip {
		var z gzipper
		// The level is right, and else there is no error.
		w, err := zlib.NewWriterLevel(&z.out, o.Level)
		if err != nil {
			panic(err)
		}
		z.w = w
		return &z
	}
	// The kernel's memory is for windows of a block.
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevel(o.Level)), zstd.WithWindowSize(max(o.BlockSize, metaSize)),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err)
	}
	return zstder{w}
}

type zstder struct{ w *zstd.Encoder }

func (z zstder) compress(dst, b []byte) []byte { return z.w.EncodeAll(b, dst) }

type gzipper struct {
	out bytes.Buffer
	w   *zlib.Writer
}

func (z *gzipper) compress(dst, b []byte) []byte {
	z.out.Reset()
	z.w.Reset(&z.out)
	// Writing to memory does not fail.
	_, _ = z.w.Write(b)
	_ = z.w.Close()
	return append(dst, z.out.Bytes()...)
}
