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
		roundTrip(t, name, src)
	}
}

// roundTrip holds each cluster to what another's decoder makes of it.
func roundTrip(t *testing.T, name string, src []byte) {
	t.Helper()
	table := new(lz4Table)
	for begin := 0; begin < len(src); {
		out, taken := table.compress(make([]byte, 0, blockSize), src, begin, blockSize)
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

// A segment is as many clusters as it has bytes for, each ending with its block.
func FuzzLZ4(f *testing.F) {
	f.Add([]byte("abcabcabcabcabcabcabc"), uint16(3000), uint16(1))
	f.Add(treetest.Random(5, 5000), uint16(2), uint16(40))
	f.Fuzz(func(t *testing.T, part []byte, times, gap uint16) {
		var src []byte
		for range min(int(times), segmentSize/max(len(part)+int(gap%64), 1)) {
			src = append(append(src, part...), zeros[:gap%64]...)
		}
		if len(src) == 0 {
			return
		}
		roundTrip(t, "fuzzed", src)
		s := &segment{data: src}
		s.lz4(new(lz4Compressor))
		length, blocks := 0, 0
		for _, e := range s.extents {
			got, err := s.out[blocks*blockSize:(blocks+1)*blockSize], error(nil)
			if !e.plain {
				if got, err = decompress(got, e.length, algorithmLZ4); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got[:e.length], src[length:length+e.length]) {
				t.Fatalf("the cluster from byte %d on is another", length)
			}
			length, blocks = length+e.length, blocks+e.blocks
		}
		if length != len(src) || len(s.out) != blocks*blockSize {
			t.Fatalf("%d of %d bytes in %d blocks of %d bytes", length, len(src), blocks, len(s.out))
		}
	})
}
