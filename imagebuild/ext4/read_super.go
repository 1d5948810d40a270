package ext4

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Super is what the superblock of an ext2, ext3 or ext4 file system says.
type Super struct {
	Kind       string // "ext2", "ext3" or "ext4", by the features
	UUID       [16]byte
	Label      string
	MountedAt  string // where it was mounted last
	BlockSize  int64  // bytes
	Blocks     int64
	Free       int64 // blocks
	Reserved   int64 // blocks that only root may fill
	Inodes     int64
	FreeInodes int64
	InodeSize  int
	Journal    int64 // bytes, 0 where that is not told
	// Features are those that dumpe2fs names, in its order; one that has no name
	// here is as dumpe2fs has such, "FEATURE_I18" for the bit 18 of the second
	// word.
	Features []string
	Clean    bool // it was unmounted, and no journal is to be played back
	Created  tree.Time
	Checked  tree.Time
	Written  tree.Time
	Size     int64 // bytes that it says to have
}

// features are the names of the bits of the three words.
var features = [3]map[int]string{
	{0: "dir_prealloc", 1: "imagic_inodes", 2: "has_journal", 3: "ext_attr", 4: "resize_inode", 5: "dir_index", 6: "lazy_bg",
		8: "exclude_bitmap", 9: "sparse_super2", 10: "fast_commit", 11: "stable_inodes", 12: "orphan_file"},
	{0: "compression", 1: "filetype", 2: "needs_recovery", 3: "journal_dev", 4: "meta_bg", 6: "extent", 7: "64bit", 8: "mmp", 9: "flex_bg",
		10: "ea_inode", 12: "dirdata", 13: "metadata_csum_seed", 14: "large_dir", 15: "inline_data", 16: "encrypt", 17: "casefold"},
	{0: "sparse_super", 1: "large_file", 3: "huge_file", 4: "uninit_bg", 5: "dir_nlink", 6: "extra_isize", 7: "has_snapshot", 8: "quota",
		9: "bigalloc", 10: "metadata_csum", 11: "replica", 12: "read-only", 13: "project", 14: "shared_blocks", 15: "verity", 16: "orphan_present"},
}

const (
	hasJournal    = 0x4
	needsRecovery = 0x4
	hasChecksums  = 0x400
	only64        = 0x80
	onlyExt3      = 0x1 | 0x2 | 0x4 // features of the third word that ext3 has, too
	maxBlockLog   = 6               // 64 KiB
)

// ReadSuper reads the superblock of a file system of at most size bytes, also of
// one that [Read] does not know. Its checksum, where it has one, is held against.
func ReadSuper(r io.ReaderAt, size int64) (*Super, error) {
	b := make([]byte, 1024)
	if _, err := io.ReadFull(io.NewSectionReader(r, 1024, max(0, size-1024)), b); err != nil {
		return nil, fmt.Errorf("reading an ext4 superblock: %w", err)
	}
	s, err := parseSuper(b)
	if err == nil && s.Size > size {
		err = fmt.Errorf("it is cut off: it says to have %d bytes, and there are %d", s.Size, size)
	}
	if err != nil {
		return nil, fmt.Errorf("reading an ext4 superblock: %w", err)
	}
	return s, nil
}

func parseSuper(b []byte) (*Super, error) {
	words := [3]uint32{le.Uint32(b[0x5C:]), le.Uint32(b[0x60:]), le.Uint32(b[0x64:])}
	high := func(at int) int64 {
		if words[1]&only64 == 0 {
			return 0
		}
		return int64(le.Uint32(b[at:])) << 32
	}
	log := le.Uint32(b[0x18:])
	switch {
	case le.Uint16(b[0x38:]) != 0xEF53:
		return nil, errors.New("there is none")
	case words[2]&hasChecksums != 0 && le.Uint32(b[0x3FC:]) != crc(math.MaxUint32, b[:0x3FC]):
		return nil, errors.New("its checksum is wrong")
	case log > maxBlockLog:
		return nil, fmt.Errorf("blocks of 2^%d KiB", log)
	}
	s := &Super{
		Kind: kindOf(words), Label: text(b[0x78:0x88]), MountedAt: text(b[0x88:0xC8]), BlockSize: 1024 << log,
		Blocks: int64(le.Uint32(b[4:])) | high(0x150), Reserved: int64(le.Uint32(b[8:])) | high(0x154), Free: int64(le.Uint32(b[0xC:])) | high(0x158),
		Inodes: int64(le.Uint32(b)), FreeInodes: int64(le.Uint32(b[0x10:])), InodeSize: 128,
		Clean:   le.Uint16(b[0x3A:])&1 != 0 && words[1]&needsRecovery == 0,
		Created: superTime(b, 0x108, 0x276), Checked: superTime(b, 0x40, 0x277), Written: superTime(b, 0x30, 0x274),
	}
	copy(s.UUID[:], b[0x68:])
	if le.Uint32(b[0x4C:]) > 0 { // the first revision has no such field
		s.InodeSize = int(le.Uint16(b[0x58:]))
	}
	if words[0]&hasJournal != 0 && b[0xFD] == 1 {
		s.Journal = int64(le.Uint32(b[0x10C+64:])) | int64(le.Uint32(b[0x10C+60:]))<<32
	}
	if s.Blocks <= 0 || s.Blocks > math.MaxInt64/s.BlockSize || s.Free < 0 || s.Free > s.Blocks || s.Reserved < 0 || s.Journal < 0 {
		return nil, fmt.Errorf("%d blocks, of which %d are free", s.Blocks, s.Free)
	}
	s.Size = s.Blocks * s.BlockSize
	s.Features = featureNames(words)
	return s, nil
}

// featureNames are the names of the features that three words have.
func featureNames(words [3]uint32) (list []string) {
	for word, names := range features {
		for bit := range 32 {
			if words[word]>>bit&1 == 0 {
				continue
			}
			name, known := names[bit]
			if !known {
				name = fmt.Sprintf("FEATURE_%c%d", "CIR"[word], bit)
			}
			list = append(list, name)
		}
	}
	return list
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// kindOf is what blkid calls a file system of these features.
func kindOf(words [3]uint32) string {
	const ext3 = 0x2 | 0x4 | 0x10 // file types, recovery, meta_bg
	switch {
	case words[1]&^ext3 != 0 || words[2]&^onlyExt3 != 0:
		return "ext4"
	case words[0]&hasJournal != 0:
		return "ext3"
	}
	return "ext2"
}

// superTime is a time whose bits from 32 on are elsewhere.
func superTime(b []byte, at, high int) tree.Time {
	return tree.Time{Sec: int64(le.Uint32(b[at:])) | int64(b[high])<<32}
}
