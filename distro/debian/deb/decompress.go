package deb

import (
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// maxWindow bounds the memory that a compressed member may ask for. It is
// what "xz -9" and "zstd --ultra -22" stay within.
const maxWindow = 128 << 20

// decompress opens a member by the ending of its name. The caller calls done
// when it is through.
func decompress(m member) (r io.Reader, done func(), err error) {
	done = func() {}
	switch ending := strings.TrimPrefix(m.name, "control.tar"); ending {
	case "":
		r = m.data
	case ".gz":
		r, err = gzip.NewReader(m.data)
	case ".xz":
		r, err = xz.NewReader(m.data, maxWindow)
	case ".zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(m.data, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			r, done = z, z.Close
		}
	default:
		return nil, nil, fmt.Errorf("the control archive is compressed as %q, which is not known", ending)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", m.name, err)
	}
	return r, done, nil
}
