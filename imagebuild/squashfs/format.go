package squashfs

import (
	"encoding/binary"
	"math/bits"

	"github.com/samebits/samebits/imagebuild/tree"
)

// What fs/squashfs/squashfs_fs.h of Linux has.
const (
	magic     = 0x73717368
	superSize = 96
	metaSize  = 8192 // of a block of metadata, before it is compressed
	padding   = 4096 // of the whole

	flagDuplicates = 0x40
	flagExport     = 0x80
	flagNoXattrs   = 0x200

	methodGzip = 1
	methodXZ   = 4
	methodLZ4  = 5
	methodZstd = 6

	plainBlock = 1 << 24 // a block's size says that it is not compressed
	plainMeta  = 1 << 15

	none32 = 1<<32 - 1 // no fragment, no attributes
	none64 = 1<<64 - 1 // no table

	typeDirectory = 1
	typeRegular   = 2
	typeSymlink   = 3
	typeBlock     = 4
	typeChar      = 5
	typeFifo      = 6
	typeSocket    = 7
	typeExtended  = 7 // and one of these: what has more fields

	maxIDs    = 1<<16 - 1
	maxHeader = 256 // entries of a directory under one header
	// A directory's size is that of its list and 3.
	moreThanList = 3
)

var little = binary.LittleEndian

// superblock is the first 96 bytes.
type superblock struct {
	inodes, time, block, fragments                   uint32
	method, flags, ids                               uint16
	root, used, idTable, xattrTable                  uint64
	inodeTable, dirTable, fragmentTable, exportTable uint64
}

func (s *superblock) encode() []byte {
	b := little.AppendUint32(nil, magic)
	for _, v := range []uint32{s.inodes, s.time, s.block, s.fragments} {
		b = little.AppendUint32(b, v)
	}
	for _, v := range []uint16{s.method, uint16(bits.TrailingZeros32(s.block)), s.flags, s.ids, 4, 0} {
		b = little.AppendUint16(b, v)
	}
	for _, v := range []uint64{s.root, s.used, s.idTable, s.xattrTable, s.inodeTable, s.dirTable, s.fragmentTable, s.exportTable} {
		b = little.AppendUint64(b, v)
	}
	return b
}

func typeOf(m tree.Mode) uint16 {
	return map[tree.Mode]uint16{tree.Directory: typeDirectory, tree.Regular: typeRegular, tree.Symlink: typeSymlink,
		tree.BlockDev: typeBlock, tree.CharDev: typeChar, tree.Fifo: typeFifo, tree.Socket: typeSocket}[m.Type()]
}

// deviceNumber is as the kernel's new_encode_dev has it.
func deviceNumber(major, minor uint32) uint32 {
	return minor&0xFF | major<<8 | minor>>8<<20
}
