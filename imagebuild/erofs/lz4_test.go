package erofs

import (
	"bytes"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// blocks of what is hard for compressors, for another's decoder.
func TestLZ4(t *testing.T) {
	text := bytes.Repeat([]byte("the same text, again and again; "), 9000)
	zero := make([]byte, segmentSize)
	mixed := append(append(bytes.Clone(zero[:100_000]), treetest.Random(1, 5000)...), zero[:300_001]...)
	for name, src := range map[string][]byte{
		"text": text, "zeros": zero, "random": treetest.Random(2, 50_000), "mixed": mixed,
		"random and text":  append(treetest.Random(3, 3000), text...),
		"short":            text[:4097],
		"zeros and random": append(bytes.Clone(zero[:70_000]), treetest.Random(4, 70_000)...),
	} {
		table := new(lz4Table)
		for begin := 0; begin < len(src); {
			dst := make([]byte, 0, blockSize)
			out, taken := table.compress(dst, src, begin, blockSize)
			if len(out) > blockSize || taken <= 0 {
				t.Fatalf("%s: %d bytes of %d", name, len(out), taken)
			}
			got := make([]byte, taken)
			n, err := lz4.UncompressBlock(out, got)
			if err != nil || n != taken || !bytes.Equal(got, src[begin:begin+taken]) {
				t.Fatalf("%s: %d of %d bytes at %d, %v", name, n, taken, begin, err)
			}
			begin += taken
		}
	}
}
