package grub

import (
	"bytes"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func TestCompress(t *testing.T) {
	text := bytes.Repeat([]byte("All of it follows from the lock. "), 1000)
	for name, data := range map[string][]byte{
		"nothing": {}, "one byte": {0x80}, "zeros": make([]byte, 100_000), "ones": bytes.Repeat([]byte{0xFF}, 70_000),
		"text": text, "noise": treetest.Random(7, 300_001), "both": append(treetest.Random(8, 4000), text...),
	} {
		packed := compress(data)
		if got := unlzma(t, packed, int64(len(data))); !bytes.Equal(got, data) {
			t.Errorf("%s comes back otherwise", name)
		}
		if name == "text" && len(packed) > len(data)*7/10 || len(packed) > len(data)+len(data)/20+64 {
			t.Errorf("%s: %d bytes take %d", name, len(data), len(packed))
		}
	}
}
