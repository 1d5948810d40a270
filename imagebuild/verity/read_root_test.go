package verity_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/verity"
)

func TestRootIsThatOfTheData(t *testing.T) {
	for _, blocks := range []int{2, 128, 129, 300} {
		data := treetest.Random(9, blocks*verity.BlockSize)
		want, hashes := made(t, data, options())
		s, got, err := verity.Root(bytes.NewReader(hashes))
		if err != nil || got != want || s.DataSize != int64(len(data)) {
			t.Errorf("%d blocks: %x, %v, want %x", blocks, got, err, want)
		}
		hashes[verity.BlockSize] ^= 1
		if _, got, err = verity.Root(bytes.NewReader(hashes)); err != nil || got == want {
			t.Errorf("%d blocks: another top has the same root hash, or %v", blocks, err)
		}
	}
}

func TestTreesThatTellNoRoot(t *testing.T) {
	_, hashes := made(t, make([]byte, verity.BlockSize), options())
	if _, _, err := verity.Root(bytes.NewReader(hashes)); !errors.Is(err, verity.ErrNoRoot) {
		t.Errorf("a single block: %v", err)
	}
	_, hashes = made(t, make([]byte, 2*verity.BlockSize), options())
	if _, _, err := verity.Root(bytes.NewReader(hashes[:verity.BlockSize])); err == nil {
		t.Error("a tree that is cut off has a root hash")
	}
	if _, _, err := verity.Root(bytes.NewReader(nil)); err == nil {
		t.Error("nothing has a root hash")
	}
}

func FuzzRoot(f *testing.F) {
	_, hashes := made(f, make([]byte, 2*verity.BlockSize), options())
	f.Add(hashes)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, root, err := verity.Root(bytes.NewReader(b))
		if err == nil && (s.DataSize <= verity.BlockSize || root == verity.Digest{}) {
			t.Errorf("%+v, %x", s, root)
		}
	})
}
