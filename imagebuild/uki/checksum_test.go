package uki_test

import (
	"encoding/binary"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/uki"
)

// The sum is that of the words, in whatever pieces the bytes come.
func TestSum(t *testing.T) {
	b := treetest.Random(1, 1001)
	want := uint32(0)
	for i := 0; i < len(b); i += 2 {
		want += uint32(binary.LittleEndian.Uint16(append(b[i:min(i+2, len(b)):min(i+2, len(b))], 0)))
		want = want>>16 + want&0xFFFF
	}
	for _, piece := range []int{1, 2, 3, 7, 500, 1001} {
		var sum uki.Sum
		for rest := b; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			sum.Write(rest[:min(piece, len(rest))])
		}
		if got := sum.Of(int64(len(b))); got != want+1001 {
			t.Errorf("in pieces of %d bytes it is %#x, want %#x", piece, got, want+1001)
		}
	}
}
