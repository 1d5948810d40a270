package squashfs

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	filteredxz "github.com/mikelolasagasti/xz"
	"github.com/pierrec/lz4/v4"

	"github.com/samebits/samebits/distro/decompress/xz"
)

// decompressor may be used by several goroutines at once.
type decompressor struct {
	method uint16
	zstd   *zstd.Decoder // nil for other methods
}

func newDecompressor(method uint16) (*decompressor, error) {
	d := &decompressor{method: method}
	switch method {
	case methodGzip, methodXZ, methodLZ4:
		return d, nil
	case methodZstd:
		var err error
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderMaxWindow(maxBlock), zstd.WithDecoderConcurrency(2))
		return d, err
	}
	name := fmt.Sprintf("method %d", method)
	if int(method) < len(compressions) && method > 0 {
		name = compressions[method]
	}
	return nil, fmt.Errorf("it is compressed by %s, and only gzip, xz, lz4 and zstd are known", name)
}

// decompress is what was compressed, at most so many bytes of it.
func (d *decompressor) decompress(b []byte, most int) (out []byte, err error) {
	switch d.method {
	case methodZstd:
		out, err = d.zstd.DecodeAll(b, make([]byte, 0, most))
	case methodLZ4:
		out = make([]byte, most)
		var n int
		n, err = lz4.UncompressBlock(b, out)
		out = out[:max(n, 0)]
	default:
		var r io.Reader
		if r, err = d.stream(b); err == nil {
			out, err = io.ReadAll(io.LimitReader(r, int64(most)+1))
		}
	}
	if err == nil && len(out) > most {
		err = fmt.Errorf("a block of more than %d bytes", most)
	}
	return out, err
}

// stream opens what has a header of its own. No window is larger than a block.
func (d *decompressor) stream(b []byte) (io.Reader, error) {
	r := bytes.NewReader(b)
	switch {
	case d.method == methodGzip:
		return zlib.NewReader(r)
	case xz.Fits(b[:min(len(b), xz.HeadBytes)]):
		return xz.NewReader(r, maxBlock)
	}
	// With a filter for machine code before it.
	return filteredxz.NewReader(r, maxBlock)
}
