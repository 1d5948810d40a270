package treetest

import (
	"encoding/hex"

	"github.com/samebits/samebits/imagebuild/tree"
)

// LargeSize is the size of the file in [Large]: 4 GiB and 5 bytes.
const LargeSize = 1<<32 + 5

// largeDigest is that of LargeSize zeros.
const largeDigest = "709fc0b74f7c916cedccb212d681c035f36ffbb31ebfe806eb40c31592744eb5"

// Large is a tree with one file, "large", that 32 bits cannot measure: zeros, of
// which a reader at random need read none, since its content says that it has
// no extents. Formats that cannot hold it must refuse it.
func Large() *tree.Tree {
	m := &maker{}
	n := Holes(LargeSize, nil)
	raw, err := hex.DecodeString(largeDigest)
	must(err)
	n.Digest = tree.Digest(raw)
	m.set("large", n)
	return m.freeze()
}

// WithSocket is a tree with a socket, "socket", and nothing else.
func WithSocket() *tree.Tree {
	m := &maker{}
	m.set("socket", tree.Inode{Mode: tree.Socket | 0o755, ModTime: Epoch})
	return m.freeze()
}
