package archive

import (
	"compress/bzip2"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"github.com/pierrec/lz4/v4"
)

// maxWindow bounds the memory that a compressed index may ask for. It is what
// "xz -9" and "zstd --ultra" want.
const maxWindow = 128 << 20

// Endings are those that index files may have, "" for none, in the order in
// which to look for the file on disk.
var Endings = []string{"", ".lz4", ".zst", ".gz", ".xz", ".bz2"}

// Decompress reads what the ending (one of [Endings]) says that r holds.
func Decompress(ending string, r io.Reader) (io.ReadCloser, error) {
	switch ending {
	case "":
		return io.NopCloser(r), nil
	case ".lz4":
		return io.NopCloser(lz4.NewReader(r)), nil
	case ".gz":
		return gzip.NewReader(r)
	case ".xz":
		x, err := xz.NewReader(r, maxWindow)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(x), nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case ".bz2":
		return io.NopCloser(bzip2.NewReader(r)), nil
	}
	return nil, fmt.Errorf("files ending in %q are not known", ending)
}
