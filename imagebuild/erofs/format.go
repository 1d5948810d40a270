package erofs

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/samebits/samebits/imagebuild/tree"
)

// What fs/erofs/erofs_fs.h of Linux has.
const (
	blockBits   = 12
	blockSize   = 1 << blockBits
	superAt     = 1024
	superSize   = 128
	magic       = 0xE0F5E1E2
	slotSize    = 32 // inodes are at multiples of it
	labelSize   = 16
	direntSize  = 12
	nullAddress = 1<<32 - 1 // the block of a hole

	compatChecksum = 1
	compatTimes    = 2

	incompatPadding = 1 // compressed data ends at the end of its blocks
	incompatConfigs = 2 // and clusters of several blocks
	incompatChunks  = 4

	algorithmLZ4  = 0
	algorithmZstd = 3

	layoutPlain      = 0
	layoutCompressed = 1 // with indexes of 8 bytes
	layoutInline     = 2
	layoutCompact    = 3 // compressed, with indexes of 2 or 4 bytes
	layoutChunks     = 4

	compactInode  = 32
	extendedInode = 64

	xattrHead = 12

	mapHead   = 16 // 8 of them were once for something else
	indexSize = 8

	indexPlain   = 0
	indexHead    = 1
	indexNonHead = 2
	indexHead2   = 3 // by the other algorithm

	manyBlocks      = 1 << 11 // in an index: the blocks of the cluster
	adviseTwos      = 1       // some of the compact indexes have 2 bytes
	adviseBig       = 2       // clusters may have several blocks
	adviseBig2      = 4       // those by the other algorithm, too
	packOfTwos      = 32      // bytes that 16 of these have
	zstdWindow      = 17
	minZstdWindow   = 10
	rootAt          = blockSize
	maxMajor        = 1<<12 - 1
	maxMinor        = 1<<20 - 1
	maxBlocks       = 1<<32 - 2
	maxXattrs       = 4 * (1<<16 - 2)
	castagnoliFirst = superAt
)

var little = binary.LittleEndian

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of the first block from the superblock on, in which the field
// for it is zero.
func checksum(block []byte) uint32 {
	return ^crc32.Checksum(block[castagnoliFirst:blockSize], castagnoli)
}

// superblock is the first block.
func superblock(o *Options, rootID uint16, inodes int, blocks int64) []byte {
	b := make([]byte, blockSize)
	s := b[superAt:]
	little.PutUint32(s, magic)
	little.PutUint32(s[8:], compatChecksum|compatTimes)
	s[12] = blockBits
	little.PutUint16(s[14:], rootID)
	little.PutUint64(s[16:], uint64(inodes))
	little.PutUint64(s[24:], uint64(o.BuildTime.Sec))
	little.PutUint32(s[32:], o.BuildTime.Nsec)
	little.PutUint32(s[36:], uint32(blocks))
	copy(s[48:], o.UUID[:])
	copy(s[64:80], o.Label)
	features := uint32(0)
	switch o.Compression {
	case None:
		features = incompatChunks
	case LZ4:
		features = incompatPadding
		little.PutUint16(s[84:], 65535) // as far back as a match may lie
	case Zstd:
		features = incompatPadding | incompatConfigs
		little.PutUint16(s[84:], 1<<algorithmZstd)
		little.PutUint16(s[superSize:], 6)
		s[superSize+3] = zstdWindow - minZstdWindow
	}
	little.PutUint32(s[80:], features)
	little.PutUint32(s[4:], checksum(b))
	return b
}

// fileType is that of a directory's entry.
func fileType(m tree.Mode) byte {
	return map[tree.Mode]byte{tree.Regular: 1, tree.Directory: 2, tree.CharDev: 3, tree.BlockDev: 4,
		tree.Fifo: 5, tree.Socket: 6, tree.Symlink: 7}[m.Type()]
}

// deviceNumber is as the kernel's new_encode_dev has it.
func deviceNumber(major, minor uint32) uint32 {
	return minor&0xFF | major<<8 | minor>>8<<20
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
