package tar

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Times is how exactly times of modification are written.
type Times int

// The two ways to write times.
const (
	Seconds     Times = iota // whole seconds, rounded down
	Nanoseconds              // all that the tree has, in extended headers
)

// Options are those of [Write]. The zero value is what format version 1 has for
// images.
type Options struct {
	Times Times
}

const blockSize = 512

// Write writes the tree to w. Errors that come from the tree name the path.
func Write(ctx context.Context, w io.Writer, t *tree.Tree, o Options) error {
	ahead := tree.ReadAhead(ctx, t.Inodes())
	defer ahead.Close()
	b := writer{out: bufio.NewWriterSize(w, 256<<10), options: o, contents: ahead}
	for n := range t.All() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("writing a tar archive: %w", err)
		}
		if err := b.member(n); err != nil {
			return fmt.Errorf("writing a tar archive: %w", err)
		}
	}
	b.zeros(2 * blockSize)
	if err := b.out.Flush(); err != nil {
		return fmt.Errorf("writing a tar archive: %w", err)
	}
	return nil
}

// writer writes members. Errors of the output stick to the buffer, and come
// from what is written next.
type writer struct {
	out      *bufio.Writer
	options  Options
	contents *tree.Ahead
}

// member writes a node: its extended header if need be, its header, its content.
func (b *writer) member(n tree.Node) error {
	inode := n.Inode()
	h := header{
		name: memberName(n), mode: uint32(inode.Mode.Bits()), uid: inode.UID, gid: inode.GID,
		time: inode.ModTime, kind: kinds[inode.Mode.Type()],
	}
	if b.options.Times == Seconds {
		h.time.Nsec = 0
	}
	switch {
	case !n.IsFirst():
		h.kind, h.link = kindHardLink, n.First().Path()
	case h.kind == 0:
		return tree.Unsupported("tar", n.Path(), "a "+inode.Mode.TypeName())
	default:
		h.link, h.size, h.major, h.minor, h.xattrs = inode.Target, inode.Size, inode.Major, inode.Minor, inode.Xattrs
	}
	if h.major > maxDevice || h.minor > maxDevice {
		return tree.Unsupported("tar", n.Path(), fmt.Sprintf("the device numbers %d,%d", h.major, h.minor))
	}
	records, err := h.records(n.Path())
	if err != nil {
		return err
	}
	if len(records) > 0 {
		extended := header{name: "././@PaxHeader", mode: 0o644, kind: kindExtended, size: int64(len(records))}
		b.write(extended.block())
		b.write(records)
		b.zeros(padding(int64(len(records))))
	}
	b.write(h.block())
	if h.kind != kindRegular {
		return b.failed()
	}
	if err := b.contents.CopyTo(n, b.out); err != nil {
		return err
	}
	b.zeros(padding(h.size))
	return b.failed()
}

func (b *writer) write(p []byte) { _, _ = b.out.Write(p) } // the error sticks

func (b *writer) zeros(n int) { b.write(make([]byte, n)) }

// failed is the error that stuck to the output.
func (b *writer) failed() error {
	_, err := b.out.Write(nil)
	return err
}

// memberName is a path as members are named.
func memberName(n tree.Node) string {
	switch {
	case n.Path() == "":
		return "./"
	case n.Mode().IsDir():
		return n.Path() + "/"
	}
	return n.Path()
}

// padding is what lacks after size bytes to a whole block.
func padding(size int64) int { return int(-size & (blockSize - 1)) }

// dropped reports whether an attribute is overlayfs' own.
func dropped(xattr string) bool {
	return strings.HasPrefix(xattr, "trusted.overlay.") || strings.HasPrefix(xattr, "user.overlay.")
}
