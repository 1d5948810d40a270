package ext4

import (
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Options are what a file system is besides its tree.
type Options struct {
	UUID     [16]byte
	HashSeed [16]byte  // of directories' hashes; zero is the algorithm's own
	Label    string    // up to 16 bytes
	Time     tree.Time // when the file system says to be made and checked
	// Size is that of the whole in bytes; what is over a multiple of 4096, and
	// a last group too small for its own tables, stays unused. If it is 0, it
	// is what the tree needs at most, and Free bytes more.
	Size, Free int64
	// Journal is the size of the journal in bytes, a multiple of 4096 of at
	// least 4 MiB. If it is 0, it is 4 MiB, and from 128 MiB on 16 MiB, from
	// 1 GiB on 32 MiB, from 2 GiB on 64 MiB, from 16 GiB on 128 MiB.
	Journal   int64
	NoJournal bool
	// BytesPerInode is how many bytes of the size there are for each inode that
	// is made; 0 is 16384. There are never fewer than the tree needs.
	BytesPerInode int64
	Reserved      int // percent of the blocks that only root may fill, 0 to 50
}

const (
	blockSize      = 4096
	groupBlocks    = 8 * blockSize
	inodeSize      = 256
	inodesPerBlock = blockSize / inodeSize
	descSize       = 64
	flexGroups     = 16
	minJournal     = 1024 // blocks
	maxJournal     = 10 << 20
	maxSize        = 16 << 40
	maxLinks       = 65000
	minTime        = -1 << 31
	maxTime        = 1<<34 - 1<<31 - 1
)

func (o *Options) check() error {
	switch {
	case o.Size < 0 || o.Free < 0 || o.Size > 0 && o.Free > 0:
		return fmt.Errorf("a size of %d and %d free bytes: only one of them may be given", o.Size, o.Free)
	case o.Size > maxSize || o.Free > maxSize:
		return fmt.Errorf("more than 16 TiB: that is not supported")
	case o.NoJournal && o.Journal != 0:
		return fmt.Errorf("no journal of %d bytes: only one of both may be given", o.Journal)
	case o.Journal != 0 && (o.Journal%blockSize != 0 || o.Journal < minJournal*blockSize || o.Journal > maxJournal*blockSize):
		return fmt.Errorf("a journal of %d bytes: it must be a multiple of 4096 from 4 MiB to 40 GiB", o.Journal)
	case o.BytesPerInode < 0 || o.BytesPerInode > 0 && (o.BytesPerInode < 1024 || o.BytesPerInode > 64<<20):
		return fmt.Errorf("an inode for each %d bytes: 1024 to 64 Mi are possible", o.BytesPerInode)
	case o.Reserved < 0 || o.Reserved > 50:
		return fmt.Errorf("%d percent reserved: 0 to 50 are possible", o.Reserved)
	case len(o.Label) > 16:
		return fmt.Errorf("the label %q has %d bytes: at most 16 are possible", o.Label, len(o.Label))
	case o.Time.Sec < 0 || o.Time.Sec >= 1<<40:
		return fmt.Errorf("the time %d is before 1970 or too late", o.Time.Sec)
	}
	return nil
}

// journalBlocks is the size of the journal in a file system of so many blocks.
func (o *Options) journalBlocks(blocks int64) int64 {
	switch {
	case o.NoJournal:
		return 0
	case o.Journal > 0:
		return o.Journal / blockSize
	case blocks < 32<<10:
		return minJournal
	case blocks < 256<<10:
		return 4096
	case blocks < 512<<10:
		return 8192
	case blocks < 4096<<10:
		return 16384
	}
	return 32768
}
