package cpio

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Options are what may be lost, which is nothing in the zero value.
type Options struct {
	ClampTimes bool // to 1970-01-01 and 2106-02-07, what 32 bits hold
	DropXattrs bool
}

// Compression makes a stream smaller, as the profiles of the package compress
// do. The writer is closed at the end of the archive.
type Compression interface {
	NewWriter(io.Writer) (io.WriteCloser, error)
}

// Part is one archive of several that the kernel reads one after the other,
// such as microcode, which must come first and not be compressed.
type Part struct {
	Tree        *tree.Tree
	Compression Compression // nil for none
}

const (
	magic    = "070701"
	trailer  = "TRAILER!!!"
	fullSize = 512
)

// Write writes the tree as one archive, not compressed.
func Write(ctx context.Context, w io.Writer, t *tree.Tree, o Options) error {
	return WriteParts(ctx, w, []Part{{Tree: t}}, o)
}

// WriteParts writes archives one after the other, each from a multiple of 512
// bytes on.
func WriteParts(ctx context.Context, w io.Writer, parts []Part, o Options) error {
	out := &counter{w: w}
	for i, part := range parts {
		if err := writePart(ctx, out, part, o); err != nil {
			return fmt.Errorf("writing a cpio archive: %w", err)
		}
		if i == len(parts)-1 && part.Compression != nil {
			break // the end need not be on a border
		}
		if err := out.fill(fullSize); err != nil {
			return fmt.Errorf("writing a cpio archive: %w", err)
		}
	}
	return nil
}

func writePart(ctx context.Context, out io.Writer, part Part, o Options) error {
	if part.Compression == nil {
		return writeArchive(ctx, out, part.Tree, o)
	}
	z, err := part.Compression.NewWriter(out)
	if err != nil {
		return err
	}
	err = writeArchive(ctx, z, part.Tree, o)
	if closeErr := z.Close(); err == nil {
		err = closeErr
	}
	return err
}

func writeArchive(ctx context.Context, w io.Writer, t *tree.Tree, o Options) error {
	b := bufio.NewWriterSize(w, 256<<10)
	out := &counter{w: b}
	for n := range t.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeEntry(out, n, o); err != nil {
			return err
		}
	}
	if err := out.entry(header{nlink: 1}, trailer); err != nil {
		return err
	}
	if err := out.fill(fullSize); err != nil {
		return err
	}
	return b.Flush()
}

// header has the fields of an entry but those that are always zero.
type header struct{ ino, mode, uid, gid, nlink, mtime, size, major, minor uint32 }

func writeEntry(out *counter, n tree.Node, o Options) error {
	inode := n.Inode()
	path := n.Path()
	switch {
	case path == "":
		path = "."
	case path == trailer:
		return tree.Unsupported("cpio", n.Path(), "a file named as the end of the archive is")
	case len(inode.Xattrs) > 0 && !o.DropXattrs:
		return tree.Unsupported("cpio", n.Path(), fmt.Sprintf("the extended attribute %q", inode.Xattrs[0].Name))
	case inode.Size > math.MaxUint32:
		return tree.Unsupported("cpio", n.Path(), fmt.Sprintf("a file of %d bytes; it must be less than 4 GiB", inode.Size))
	}
	mtime, err := seconds(n, o)
	if err == nil {
		err = n.CheckOwner("cpio")
	}
	if err != nil {
		return err
	}
	h := header{
		ino: uint32(n.InodeIndex()) + 1, mode: uint32(inode.Mode), uid: inode.UID, gid: inode.GID,
		nlink: uint32(n.LinkCount()), mtime: mtime, major: inode.Major, minor: inode.Minor,
	}
	switch {
	case inode.Mode.Type() == tree.Symlink:
		h.size = uint32(len(inode.Target))
	case n == n.Last():
		h.size = uint32(inode.Size)
	}
	if err := out.entry(h, path); err != nil {
		return err
	}
	switch {
	case inode.Mode.Type() == tree.Symlink:
		_, err = io.WriteString(out, inode.Target)
	case inode.Mode.IsRegular() && n == n.Last():
		err = n.CopyTo(out)
	}
	if err != nil {
		return err
	}
	return out.fill(4)
}

// seconds is the time as 32 bits hold it.
func seconds(n tree.Node, o Options) (uint32, error) {
	t := n.Inode().ModTime
	clamped := min(max(t.Sec, 0), math.MaxUint32)
	if clamped != t.Sec && !o.ClampTimes {
		return 0, tree.Unsupported("cpio", n.Path(), "the time "+t.Time().String()+"; it must be from 1970-01-01 to 2106-02-07")
	}
	return uint32(clamped), nil
}

// counter counts what is written, so that it can be filled up to a border.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) fill(border int64) error {
	_, err := c.Write(make([]byte, -c.n&(border-1)))
	return err
}

// entry writes a header and a name, up to where the content begins.
func (c *counter) entry(h header, name string) error {
	_, err := fmt.Fprintf(c, magic+"%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		h.ino, h.mode, h.uid, h.gid, h.nlink, h.mtime, h.size, 0, 0, h.major, h.minor, len(name)+1, 0, name)
	if err != nil {
		return err
	}
	return c.fill(4)
}
