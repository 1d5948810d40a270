package verity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// ErrNoRoot says that a tree does not tell its root hash by itself.
var ErrNoRoot = errors.New("the tree of a single block has no hashes; its root hash is that of the data")

// Root reads the superblock of a tree and the block of hashes at its top, and
// tells the root hash that these have. Whether the rest of the tree and the data
// are those of it is what [Verify] finds out. A tree of a single block of data is
// an [ErrNoRoot].
func Root(hashes io.ReaderAt) (*Superblock, Digest, error) {
	s, err := Read(hashes)
	if err != nil {
		return nil, Digest{}, err
	}
	if s.DataSize == BlockSize {
		return s, Digest{}, ErrNoRoot
	}
	block := make([]byte, BlockSize)
	if _, err := io.ReadFull(io.NewSectionReader(hashes, BlockSize, BlockSize), block); err != nil {
		return nil, Digest{}, fmt.Errorf("reading the top of a verity hash tree: %w", err)
	}
	return s, sha256.Sum256(append(s.Salt[:len(s.Salt):len(s.Salt)], block...)), nil
}
