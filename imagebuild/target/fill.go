package target

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/tree"
)

// Fill lays a tree into an empty root.
func (d *Dir) Fill(ctx context.Context, t *tree.Tree) error {
	for n := range t.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n.Path() == "" {
			continue
		}
		if err := d.fillOne(n); err != nil {
			return err
		}
	}
	return d.settleDirs(ctx, t)
}

// fillOne lays one path of a tree.
func (d *Dir) fillOne(n tree.Node) error {
	f := fileOf(n)
	if f.Type != distro.Regular || f.Size == 0 {
		return d.Put(f, nil)
	}
	content, err := n.Open()
	if err != nil {
		return err
	}
	return errors.Join(d.Put(f, content), content.Close())
}

// fileOf is a path of a tree as packages have it.
func fileOf(n tree.Node) distro.File {
	in := n.Inode()
	f := distro.File{
		Path: n.Path(), Mode: uint32(in.Mode.Bits()), UID: in.UID, GID: in.GID, Size: in.Size,
		ModTime: in.ModTime.Time(), Link: in.Target, Major: in.Major, Minor: in.Minor,
	}
	for _, x := range in.Xattrs {
		if f.Xattrs == nil {
			f.Xattrs = map[string]string{}
		}
		f.Xattrs[x.Name] = x.Value
	}
	for kind, mode := range types {
		if mode == in.Mode.Type() {
			f.Type = kind
		}
	}
	if !n.IsFirst() {
		f.Type, f.Link = distro.Hard, n.First().Path()
	}
	return f
}

// Settle gives all that is in the root the times that it has in the tree, which
// was frozen of it.
func (d *Dir) Settle(ctx context.Context, t *tree.Tree) error {
	for n := range t.Inodes() {
		if n.Mode().IsDir() || n.Mode().IsDevice() {
			continue
		}
		if err := d.settle(n); err != nil {
			return err
		}
		if n.Mode().IsRegular() && n.Inode().Size > 0 {
			d.hashLater(fresh{name: n.Path()})
		}
	}
	return d.settleDirs(ctx, t)
}

// settleDirs does so for directories, from the deepest up, since making what is
// in them has changed theirs.
func (d *Dir) settleDirs(ctx context.Context, t *tree.Tree) error {
	for _, n := range slices.Backward(slices.Collect(t.All())) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n.Path() == "" || !n.Mode().IsDir() {
			continue
		}
		if err := d.settle(n); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) settle(n tree.Node) error {
	p, base, err := d.in(n.Path())
	if err != nil {
		return fmt.Errorf("set the time of %s: %w", printable(n.Path()), err)
	}
	defer d.done(p)
	if err := d.stamp(p.fd, base, n.Inode().ModTime.Time()); err != nil {
		return fmt.Errorf("set the time of %s: %w", printable(n.Path()), err)
	}
	return nil
}
