package fat

import (
	"context"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/sparse"
)

// Write writes the tree as a file system to w, from its byte 0 on, and returns
// the size of it in bytes. All of w reads as zeros before, or is a file that is
// empty; what is zero is not written, so that the caller has to set a file's
// size. What FAT cannot hold is found before a byte is written.
func Write(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (int64, error) {
	size, err := write(ctx, w, t, o)
	if err != nil {
		return 0, fmt.Errorf("writing a FAT file system: %w", err)
	}
	return size, nil
}

func write(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (int64, error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	l, err := newLayout(t, o)
	if err != nil {
		return 0, err
	}
	if err := l.writeHead(w, o); err != nil {
		return 0, err
	}
	for i := range int64(numFATs) {
		if err := l.writeTable(sparse.NewWriter(w, (l.reserved+i*l.table)*sectorSize)); err != nil {
			return 0, err
		}
	}
	if l.fat == FAT16 {
		if err := writeAll(w, l.directory(t.Root(), o), l.rootStart()); err != nil {
			return 0, err
		}
	}
	return l.size(), l.writeData(ctx, sparse.NewWriter(w, l.dataStart()), t, o)
}

// writeAll is for what is small.
func writeAll(w io.WriterAt, b []byte, at int64) error {
	_, err := w.WriteAt(b, at)
	return err
}

func (l *layout) writeHead(w io.WriterAt, o Options) error {
	head := l.bootSector(o)
	if l.fat == FAT32 {
		head = append(head, l.infoBlock()...)
		head = append(head, make([]byte, backupSector*sectorSize-len(head))...)
		head = append(head, head[:2*sectorSize]...)
	}
	return writeAll(w, head, 0)
}

func (l *layout) writeTable(out *sparse.Writer) error {
	b := l.appendValue(nil, l.endOfChain()&^0xFF|media)
	b = l.appendValue(b, l.endOfChain())
	const most = 16 << 10
	for _, r := range l.runs {
		for r.count > 0 {
			part := run{r.first, min(r.count, most)}
			b = l.appendTable(b, part)
			if r.count -= part.count; r.count > 0 {
				// The part's end is none of the chain's.
				b = l.appendValue(b[:int64(len(b))-l.entrySize()], part.first+part.count)
			}
			r.first += part.count
			if len(b) >= most {
				if _, err := out.Write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	return out.Flush()
}

// writeData writes what is in the clusters, which is in the order of the tree.
func (l *layout) writeData(ctx context.Context, out *sparse.Writer, t *tree.Tree, o Options) error {
	ahead := tree.ReadAhead(ctx, func(yield func(tree.Node) bool) {
		for n := range t.All() {
			if n.Mode().IsRegular() && !yield(n) {
				return
			}
		}
	})
	defer ahead.Close()
	for n := range t.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := l.runs[n.Index()]
		var err error
		switch {
		case n.Mode().IsRegular():
			err = ahead.CopyTo(n, out)
		case r.count > 0:
			_, err = out.Write(l.directory(n, o))
		}
		if err == nil && r.count > 0 {
			err = out.Skip(l.dataStart() + int64(r.first-2+r.count)*l.cluster)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}
