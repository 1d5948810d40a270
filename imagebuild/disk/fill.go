package disk

import (
	"context"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/swap"
	"github.com/samebits/samebits/imagebuild/tree"
)

// writeParts writes the partitions besides the disk's own, which are before the
// root, so that this can grow.
func (d *writing) writeParts(ctx context.Context, list []part, contents []*tree.Tree) error {
	for i, p := range list {
		n, err := d.fill(ctx, i, p, contents[i])
		if err == nil && p.Size != 0 && n > p.Size {
			err = fmt.Errorf("its contents take %d MiB, and it has %d", up(n)/mebibyte, p.Size/mebibyte)
		}
		if err != nil {
			return p.wrap(i, err)
		}
		out := gpt.Partition{Type: p.guid, ID: d.seed.guid(use(i, "")), Name: p.name(), Start: d.end, Size: max(up(n), p.Size)}
		switch p.FileSystem {
		case Ext4:
			out.Attributes = gpt.GrowFileSystem
		case EROFS, Squashfs:
			out.Attributes = gpt.ReadOnly
		}
		d.parts = append(d.parts, out)
		d.end += out.Size
	}
	return nil
}

// fill writes what is in a partition, and returns the size of it.
func (d *writing) fill(ctx context.Context, i int, p part, t *tree.Tree) (int64, error) {
	w := io.NewOffsetWriter(d.file, d.end)
	id := d.seed.id(use(i, "file system"))
	if t == nil {
		var b tree.Builder
		if err := b.Set("", tree.Inode{Mode: tree.Directory | 0o755, ModTime: d.o.Time}); err != nil {
			return 0, err
		}
		var err error
		if t, err = b.Freeze(ctx); err != nil {
			return 0, err
		}
	}
	free := int64(0)
	if p.Size == 0 {
		free = DefaultFree
	}
	switch p.FileSystem {
	case Ext4:
		return ext4.Write(ctx, w, t, ext4.Options{UUID: id, HashSeed: d.seed.id(use(i, "directories")), Label: p.Label, Time: d.o.Time, Size: p.Size, Free: free})
	case EROFS:
		return erofs.Write(ctx, w, t, erofs.Options{Compression: erofs.LZ4, UUID: id, Label: p.Label, BuildTime: d.o.Time})
	case Squashfs:
		return squashfs.Write(ctx, w, t, squashfs.Options{Compression: squashfs.Zstd, Time: seconds32(d.o.Time), DropACLs: d.o.DropACLs})
	case VFAT:
		return fat.Write(ctx, w, t, fat.Options{Size: p.Size, Free: free, VolumeID: d.seed.serial(use(i, "file system")), Label: p.Label, Start: d.end, ClampTimes: true})
	case Swap:
		return p.Size, swap.Write(w, swap.Options{UUID: id, Label: p.Label, Size: p.Size})
	}
	return p.Size, nil
}
