package disk

import (
	"context"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
)

// WriteFileSystem writes the tree as the file system that a root of a disk
// would be, to w from its byte 0 on, and returns its size in bytes. Size of the
// options is that of the file system, and only ext4 may have one.
func WriteFileSystem(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (int64, error) {
	o, err := o.filled()
	if err != nil {
		return 0, err
	}
	if o.Size != 0 && o.FileSystem != Ext4 {
		return 0, fmt.Errorf("a file system %s is as large as its contents; its size cannot be given", o.FileSystem)
	}
	return writeRoot(ctx, w, t, o, newSeed(t, o), o.Size)
}

// writeRoot writes the root's file system, of a size if it is not 0.
func writeRoot(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options, s seed, size int64) (int64, error) {
	if err := o.checkCompression(); err != nil {
		return 0, err
	}
	switch o.FileSystem {
	case EROFS:
		c := map[string]erofs.Compression{"none": erofs.None, "": erofs.LZ4, "lz4": erofs.LZ4, "zstd": erofs.Zstd}[o.Compression]
		return erofs.Write(ctx, w, t, erofs.Options{Compression: c, UUID: s.id("root file system"), Label: o.Label, BuildTime: o.Time})
	case Squashfs:
		c := map[string]squashfs.Compression{"": squashfs.Zstd, "zstd": squashfs.Zstd, "gzip": squashfs.Gzip}[o.Compression]
		return squashfs.Write(ctx, w, t, squashfs.Options{Compression: c, Time: seconds32(o.Time), DropACLs: o.DropACLs})
	}
	return ext4.Write(ctx, w, t, ext4.Options{
		UUID: s.id("root file system"), HashSeed: s.id("root directories"),
		Label: o.Label, Time: o.Time, Size: size, Free: o.free(), NoJournal: o.Verity,
	})
}

// seconds32 is a time as squashfs has it, the nearest that it can.
func seconds32(t tree.Time) uint32 {
	return uint32(min(max(t.Sec, 0), 1<<32-1))
}
