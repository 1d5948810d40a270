// Package decompress opens the compressed files of distributions' archives:
// indexes and the members of packages. It refuses to use more memory than the
// strongest settings of the usual compressors ask for, whatever a file's
// header demands; how much comes out is for the caller to bound.
package decompress

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	filteredxz "github.com/mikelolasagasti/xz"
	"github.com/pierrec/lz4/v4"

	"github.com/samebits/samebits/distro/decompress/xz"
)

// maxWindow bounds the memory that a file may ask for. It is what "xz -9" and
// "zstd --ultra -22" want.
const maxWindow = 128 << 20

// Endings are those that Open knows, "" for files that are not compressed.
var Endings = []string{"", ".lz4", ".zst", ".gz", ".xz", ".bz2"}

// Open reads what a file name's ending (one of [Endings]) says that r holds.
// The reader must be closed; r is not closed with it.
func Open(ending string, r io.Reader) (io.ReadCloser, error) {
	switch ending {
	case "":
		return io.NopCloser(r), nil
	case ".lz4":
		return io.NopCloser(lz4.NewReader(r)), nil
	case ".gz":
		return gzip.NewReader(r)
	case ".xz":
		return openXZ(r)
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

// openXZ reads with the decoder of this module what is made as packages are,
// and with a slower one what has other filters.
func openXZ(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(xz.HeadBytes)
	if err != nil && err != io.EOF {
		return nil, err
	}
	var x io.Reader
	if xz.Fits(head) {
		x, err = xz.NewReader(b, maxWindow)
	} else {
		x, err = filteredxz.NewReader(b, maxWindow)
	}
	if err != nil {
		return nil, err
	}
	return io.NopCloser(x), nil
}

// magics are the first bytes of what each ending stands for.
var magics = []struct{ ending, magic string }{
	{".gz", "\x1f\x8b"},
	{".zst", "\x28\xb5\x2f\xfd"},
	{".xz", "\xfd7zXZ\x00"},
	{".bz2", "BZh"},
	{".lz4", "\x04\x22\x4d\x18"},
}

// Detect tells by the first bytes of a file how it is compressed, as one of
// [Endings]: "" for all that is not known.
func Detect(head []byte) string {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.ending
		}
	}
	return ""
}

// Sniff reads r as its first bytes say that it is compressed, or as it is
// where they say nothing.
func Sniff(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return Open(Detect(head), b)
}
