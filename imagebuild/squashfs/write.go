package squashfs

import (
	"context"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
)

const maxTime = 1<<32 - 1

// Write writes the tree as a file system to w, from its byte 0 on, and returns
// the size of it in bytes, a multiple of 4096. All of w reads as zeros before, or
// is a file that is empty; the last bytes are not written, so that the caller
// has to set a file's size. What squashfs cannot hold is found before a byte is
// written.
func Write(ctx context.Context, w io.WriterAt, t *tree.Tree, o Options) (int64, error) {
	size, err := write(ctx, w, t, &o)
	if err != nil {
		return 0, fmt.Errorf("writing a squashfs file system: %w", err)
	}
	return size, nil
}

func write(ctx context.Context, w io.WriterAt, t *tree.Tree, o *Options) (int64, error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	if err := o.checkTree(t); err != nil {
		return 0, err
	}
	d := &data{o: o, out: &stream{w: w, next: superSize}}
	if err := d.write(ctx, t); err != nil {
		return 0, err
	}
	in := newInodes(t, o, d.files)
	if err := in.directory(t.Root()); err != nil {
		return 0, err
	}
	s := &superblock{inodes: uint32(t.NumInodes()), time: o.Time, block: uint32(o.BlockSize), fragments: d.count,
		method: methodZstd, flags: flagDuplicates | flagExport, ids: uint16(len(in.ids)), root: in.places[0]}
	if o.Compression == Gzip {
		s.method = methodGzip
	}
	if err := s.writeTables(d, in); err != nil {
		return 0, err
	}
	if err := d.out.flush(); err != nil {
		return 0, err
	}
	s.used = uint64(d.out.at())
	if _, err := w.WriteAt(s.encode(), 0); err != nil {
		return 0, err
	}
	return (d.out.at() + padding - 1) / padding * padding, nil
}

// writeTables writes the tables behind the data, in the order that the kernel
// wants, and notes where they are.
func (s *superblock) writeTables(d *data, in *inodes) error {
	c := d.o.newCompressor()
	put := func(b []byte) error {
		_, err := d.out.Write(b)
		return err
	}
	// put a table and its list of blocks
	indexed := func(at *uint64, entries []byte) error {
		b, list := newMeta(c).table(entries, uint64(d.out.at()), nil)
		*at = list
		return put(b)
	}
	in.table.flush()
	in.lists.flush()
	s.inodeTable = uint64(d.out.at())
	if err := put(in.table.out); err != nil {
		return err
	}
	s.dirTable = uint64(d.out.at())
	if err := put(in.lists.out); err != nil {
		return err
	}
	s.fragmentTable = none64
	if d.count > 0 {
		if err := indexed(&s.fragmentTable, d.fragments); err != nil {
			return err
		}
	}
	var export, ids []byte
	for _, p := range in.places {
		export = little.AppendUint64(export, p)
	}
	if err := indexed(&s.exportTable, export); err != nil {
		return err
	}
	for _, id := range in.ids {
		ids = little.AppendUint32(ids, id)
	}
	if err := indexed(&s.idTable, ids); err != nil {
		return err
	}
	s.xattrTable = none64
	x := in.xattrs
	if len(x.known) == 0 {
		s.flags |= flagNoXattrs
		return nil
	}
	x.pairs.flush()
	head := little.AppendUint64(nil, uint64(d.out.at()))
	head = little.AppendUint32(head, uint32(len(x.known)))
	head = little.AppendUint32(head, 0)
	if err := put(x.pairs.out); err != nil {
		return err
	}
	b, list := newMeta(c).table(x.lists, uint64(d.out.at()), head)
	s.xattrTable = list
	return put(b)
}

// checkTree finds what the format cannot hold.
func (o *Options) checkTree(t *tree.Tree) error {
	ids := map[uint32]bool{}
	for n := range t.Inodes() {
		inode, path := n.Inode(), n.Path()
		if err := o.checkXattrs(path, inode.Xattrs); err != nil {
			return err
		}
		if err := n.CheckOwner("squashfs"); err != nil {
			return err
		}
		ids[inode.UID], ids[inode.GID] = true, true
		var what string
		switch {
		case !o.ClampTimes && (inode.ModTime.Sec < 0 || inode.ModTime.Sec > maxTime):
			what = fmt.Sprintf("the time %s; it must be from 1970-01-01 to 2106-02-07", inode.ModTime.Time().Format("2006-01-02"))
		case inode.Mode.IsDevice() && (inode.Major > 1<<12-1 || inode.Minor > 1<<20-1):
			what = fmt.Sprintf("the device number %d:%d", inode.Major, inode.Minor)
		case len(ids) > maxIDs:
			what = fmt.Sprintf("more than %d different owners and groups", maxIDs)
		}
		if what != "" {
			return tree.Unsupported("squashfs", path, what)
		}
	}
	return nil
}
