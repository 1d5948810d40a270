package oci

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// How a layer tells that something below it is not there any more.
const (
	whiteoutPrefix = ".wh."
	opaque         = ".wh..wh..opq"
)

// Split parts a tree into layers, which together give the tree again: one for
// each name of groups, in that order, with what group says belongs there. Every
// path of an inode is in the layer of its smallest path. Directories on the way
// to what is in a layer are in it, too; those of no content are where group says.
// Layers that have nothing but the root are there all the same.
func Split(ctx context.Context, t *tree.Tree, groups []string, group func(tree.Node) string) ([]Layer, error) {
	keep := make([][]bool, len(groups))
	for i := range keep {
		keep[i] = make([]bool, t.Len())
	}
	for n := range t.All() {
		if n.Path() == "" {
			continue
		}
		name := group(n.First())
		i := slices.Index(groups, name)
		if i < 0 {
			return nil, &tree.PathError{Path: n.Path(), Err: fmt.Errorf("belongs to the layer %q, which is none of %q", name, groups)}
		}
		markWithParents(keep[i], n)
	}
	layers := make([]Layer, len(groups))
	for i, name := range groups {
		layers[i] = Layer{pick(t, keep[i]), name}
	}
	return layers, ctx.Err()
}

func markWithParents(marked []bool, n tree.Node) {
	for !marked[n.Index()] {
		marked[n.Index()] = true
		n = n.Parent()
	}
}

func pick(t *tree.Tree, marked []bool) *tree.Tree {
	return tree.Filter(t, func(n tree.Node) bool { return marked[n.Index()] })
}

// Diff is the layer that makes t of base: what is new or has changed, and
// whiteouts of what is gone. Of an inode with a path that changed, all paths are
// in the layer.
func Diff(ctx context.Context, base, t *tree.Tree) (*tree.Tree, error) {
	marked := make([]bool, t.Len())
	for n := range t.All() {
		if n.Path() == "" {
			continue
		}
		if was, found := base.Lookup(n.Path()); !found || !same(was, n) {
			for link := range n.Links() {
				markWithParents(marked, link)
			}
		}
	}
	layer := pick(t, marked).Edit()
	for was := range base.All() {
		if _, found := t.Lookup(was.Path()); found {
			continue
		}
		// Of a directory that is gone or is none any more, that is enough.
		parent, found := t.Lookup(was.Parent().Path())
		if !found || !parent.Mode().IsDir() {
			continue
		}
		if err := addWhiteout(layer, t, parent, whiteoutPrefix+was.Name()); err != nil {
			return nil, err
		}
	}
	return layer.Freeze(ctx)
}

// addWhiteout puts a whiteout into a directory, of the directory's time.
func addWhiteout(layer *tree.Builder, t *tree.Tree, dir tree.Node, name string) error {
	for d := dir; ; d = d.Parent() {
		if err := layer.Set(d.Path(), d.Inode()); err != nil {
			return err
		}
		if d == t.Root() {
			break
		}
	}
	if dir.Path() != "" {
		name = dir.Path() + "/" + name
	}
	return layer.Set(name, tree.Inode{Mode: tree.Regular | 0o644, ModTime: dir.Inode().ModTime})
}

// same reports whether a path stands for the same in two trees.
func same(a, b tree.Node) bool {
	x, y := a.Inode(), b.Inode()
	if !x.Equal(&y) {
		return false
	}
	if x.Mode.IsDir() {
		return true
	}
	return slices.EqualFunc(slices.Collect(a.Links()), slices.Collect(b.Links()),
		func(a, b tree.Node) bool { return a.Path() == b.Path() })
}

// Apply puts a layer over a base: whiteouts take away what is in the base, the
// rest is an [tree.Overlay].
func Apply(ctx context.Context, base, layer *tree.Tree) (*tree.Tree, error) {
	gone, empty := map[string]bool{}, map[string]bool{}
	for n := range layer.All() {
		name, is := strings.CutPrefix(n.Name(), whiteoutPrefix)
		switch {
		case !is:
		case n.Name() == opaque:
			empty[n.Parent().Path()] = true
		case name == "" || name == "." || name == "..":
			return nil, &tree.PathError{Path: n.Path(), Err: errors.New("a whiteout of no name")}
		case n.Parent().Path() == "":
			gone[name] = true
		default:
			gone[n.Parent().Path()+"/"+name] = true
		}
	}
	base = tree.Filter(base, func(n tree.Node) bool { return !gone[n.Path()] && !empty[n.Parent().Path()] })
	upper := tree.Filter(layer, func(n tree.Node) bool { return !strings.HasPrefix(n.Name(), whiteoutPrefix) })
	return tree.Overlay(ctx, base, upper)
}

// FromOverlay is the layer that the upper directory of an overlayfs is, read as
// it is on disk: character devices 0,0 become whiteouts, directories that
// trusted.overlay.opaque or user.overlay.opaque has hide what is below.
func FromOverlay(ctx context.Context, upper *tree.Tree) (*tree.Tree, error) {
	b := upper.Edit()
	for n := range upper.All() {
		inode := n.Inode()
		if inode.Mode.Type() == tree.CharDev && inode.Major == 0 && inode.Minor == 0 {
			b.Remove(n.Path())
			if err := addWhiteout(b, upper, n.Parent(), whiteoutPrefix+n.Name()); err != nil {
				return nil, err
			}
		}
		for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
			if value, _ := inode.Xattr(name); value == "y" && inode.Mode.IsDir() {
				if err := addWhiteout(b, upper, n, opaque); err != nil {
					return nil, err
				}
			}
		}
	}
	return b.Freeze(ctx)
}

// checkNames refuses what would be taken for whiteouts. Those that [Diff] and
// [FromOverlay] made are empty files; nothing tells them from a file that a tree
// has by that name, so that trees of images are checked before.
func checkNames(t *tree.Tree) error {
	for n := range t.All() {
		if strings.HasPrefix(n.Name(), whiteoutPrefix) && (!n.Mode().IsRegular() || n.Inode().Size > 0) {
			return tree.Unsupported("an OCI layer", n.Path(), "the name "+n.Name()+", which is that of a whiteout")
		}
	}
	return nil
}
