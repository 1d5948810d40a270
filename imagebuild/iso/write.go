package iso

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/sparse"
)

// Write writes the tree as a file system to w, from its byte 0 on, and returns
// where what is. All of w reads as zeros before, or is a file that is empty;
// what is zero is not written, so that the caller has to set a file's size. What
// the format cannot hold is found before a byte is written.
func Write(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (*Layout, error) {
	l, err := write(ctx, w, t, o)
	if err != nil {
		return nil, fmt.Errorf("writing an ISO 9660 file system: %w", err)
	}
	return l, nil
}

func write(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (*Layout, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	l, err := newLayout(t, o)
	if err != nil {
		return nil, err
	}
	out := sparse.NewWriter(w, systemArea)
	if err := l.writeHead(out); err != nil {
		return nil, err
	}
	if err := l.writeBoot(out); err != nil {
		return nil, err
	}
	if err := l.writeContents(ctx, out, t); err != nil {
		return nil, err
	}
	result := &Layout{Size: l.total * sectorSize}
	if o.BIOS != nil {
		result.BIOS = tree.Extent{Offset: l.bios * sectorSize, Length: o.BIOS.Size}
	}
	if o.UEFI != nil {
		result.UEFI = tree.Extent{Offset: l.uefi * sectorSize, Length: o.UEFI.Size}
	}
	return result, nil
}

// writeHead writes all that is before the boot images and contents.
func (l *layout) writeHead(out *sparse.Writer) error {
	for _, part := range [][]byte{l.descriptors(), l.pathTables()} {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	l.overflow.keep = true
	for _, d := range l.dirs {
		if _, err := out.Write(l.records(d)); err != nil {
			return err
		}
	}
	if _, err := out.Write(l.overflow.data); err != nil {
		return err
	}
	return out.Skip(l.catalog * sectorSize)
}

// writeBoot writes the catalog and what is in it.
func (l *layout) writeBoot(out *sparse.Writer) error {
	if l.o.BIOS == nil && l.o.UEFI == nil {
		return nil
	}
	if _, err := out.Write(l.bootCatalog()); err != nil {
		return err
	}
	if l.o.BIOS != nil {
		b, err := readImage(l.o.BIOS)
		if err != nil {
			return fmt.Errorf("the boot image for BIOSes: %w", err)
		}
		if l.o.BIOSInfoTable {
			l.infoTable(b)
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	if l.o.UEFI != nil {
		if err := out.Skip(l.uefi * sectorSize); err != nil {
			return err
		}
		if err := copyImage(out, l.o.UEFI); err != nil {
			return fmt.Errorf("the boot image for UEFI: %w", err)
		}
	}
	return nil
}

func readImage(image *BootImage) ([]byte, error) {
	r, err := image.Content.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, image.Size+1))
	if err == nil && int64(len(b)) != image.Size {
		err = errors.New("it has not the size that was told")
	}
	return b, err
}

func copyImage(w io.Writer, image *BootImage) error {
	r, err := image.Content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, io.LimitReader(r, image.Size+1))
	if err == nil && n != image.Size {
		err = errors.New("it has not the size that was told")
	}
	return err
}

func (l *layout) writeContents(ctx context.Context, out *sparse.Writer, t *tree.Tree) error {
	ahead := tree.ReadAhead(ctx, func(yield func(tree.Node) bool) {
		for n := range t.Inodes() {
			if n.Mode().IsRegular() && !yield(n) {
				return
			}
		}
	})
	defer ahead.Close()
	for n := range t.Inodes() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !n.Mode().IsRegular() {
			continue
		}
		if sector := l.contents[n.InodeIndex()]; sector > 0 {
			if err := out.Skip(sector * sectorSize); err != nil {
				return err
			}
		}
		if err := ahead.CopyTo(n, out); err != nil {
			return err
		}
	}
	return out.Flush()
}
