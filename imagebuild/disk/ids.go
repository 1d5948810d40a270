package disk

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
)

// A seed is what identifiers are derived from: the tree, and what else makes
// one disk differ from another.
type seed [sha256.Size]byte

func newSeed(t *tree.Tree, o Options) seed {
	text := fmt.Sprintf("samebits disk 1\n%s\n%s %t %d %d %q", t.Digest(), o.FileSystem, o.Verity, o.Size, o.free(), o.Label)
	for _, p := range o.Partitions {
		text += fmt.Sprintf("\n%q %d %q %q %q %q", p.Type, p.Size, p.FileSystem, p.Label, p.Mount, p.From)
	}
	return sha256.Sum256([]byte(text))
}

// id is an identifier for a use, in the form of RFC 9562's version 8, which is
// for those that are made in ways of one's own.
func (s seed) id(use string) [16]byte {
	sum := sha256.Sum256(append(s[:], use...))
	id := [16]byte(sum[:16])
	id[6] = id[6]&0x0F | 0x80
	id[8] = id[8]&0x3F | 0x80
	return id
}

func (s seed) guid(use string) gpt.GUID { return gpt.FormatGUID(s.id(use)) }

func (s seed) serial(use string) uint32 {
	id := s.id(use)
	return binary.BigEndian.Uint32(id[:4])
}

// short is a part of names that have to differ between disks in one machine.
func (s seed) short() string { return hex.EncodeToString(s[:4]) }
