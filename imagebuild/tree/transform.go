package tree

import (
	"context"
	"errors"
	"fmt"
)

// Overlay is base with upper put over it, as a later layer is over an earlier
// one: what is at a path of both is upper's, with upper's attributes. Two
// directories are merged; anything else hides what base had at and below the
// path. Hard links of base that are hidden in part go on joining the others.
func Overlay(ctx context.Context, base, upper *Tree) (*Tree, error) {
	d := draft{entries: make([]entry, 0, base.Len()+upper.Len())}
	for n := range upper.All() {
		d.add(n.Path(), n.inode())
	}
	hidden := make([]bool, base.Len()) // what is in it is of no more use
	for n := range base.All() {
		if n.i > 0 && hidden[n.Parent().i] {
			hidden[n.i] = true
			continue
		}
		over, found := upper.Lookup(n.Path())
		switch {
		case !found:
			d.add(n.Path(), n.inode())
		case !over.Mode().IsDir():
			hidden[n.i] = true
		}
	}
	return d.freeze(ctx)
}

// Filter is t without the nodes that keep turns down, and without what is in
// them. It is called for each node that is not in such a one, in order, but not
// for the root, which stays. Hard links go on joining the paths that are kept.
func Filter(t *Tree, keep func(Node) bool) *Tree {
	d := draft{entries: make([]entry, 0, t.Len())}
	dropped := make([]bool, t.Len())
	for n := range t.All() {
		if n.i > 0 && (dropped[n.Parent().i] || !keep(n)) {
			dropped[n.i] = true
			continue
		}
		d.add(n.Path(), n.inode())
	}
	return mustFreeze(d)
}

// Map is t with its inodes changed by change, which is called once for each, in
// order, with its smallest path. The type must stay. A change of Content that
// sets Digest to zero, and Size to [Unknown] if need be, has it hashed. All
// paths of the inode have the changed one.
func Map(ctx context.Context, t *Tree, change func(Node, Inode) (Inode, error)) (*Tree, error) {
	changed := make([]*Inode, t.NumInodes())
	for n := range t.Inodes() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next, err := change(n, n.Inode())
		if err != nil {
			return nil, &PathError{n.Path(), err}
		}
		if next.Mode.Type() != n.Mode().Type() {
			return nil, &PathError{n.Path(), fmt.Errorf("a change from %s to %s, which takes an Overlay", n.Mode().TypeName(), next.Mode.TypeName())}
		}
		inode, err := next.canonical()
		if err != nil {
			return nil, &PathError{n.Path(), err}
		}
		changed[n.InodeIndex()] = inode
	}
	d := draft{entries: make([]entry, 0, t.Len())}
	for n := range t.All() {
		d.add(n.Path(), changed[n.InodeIndex()])
	}
	return d.freeze(ctx)
}

// Sub is the tree below a directory of t, which is its root.
func Sub(t *Tree, path string) (*Tree, error) {
	top, found := t.Lookup(path)
	if !found {
		return nil, &PathError{path, errors.New("not in the tree")}
	}
	if !top.Mode().IsDir() {
		return nil, &PathError{path, errors.New("not a directory")}
	}
	if top.i == 0 {
		return t, nil
	}
	d := draft{}
	d.add("", top.inode())
	for i := int(top.i) + 1; i < t.Len() && len(t.nodes[i].path) > len(path) && t.nodes[i].path[:len(path)] == path; i++ {
		if t.nodes[i].path[len(path)] == '/' {
			d.add(t.nodes[i].path[len(path)+1:], t.inodes[t.nodes[i].inode])
		}
	}
	return mustFreeze(d), nil
}

// mustFreeze freezes what is a part of a tree, and cannot fail.
func mustFreeze(d draft) *Tree {
	t, err := d.freeze(context.Background())
	if err != nil {
		panic("tree: a part of a tree is not one: " + err.Error())
	}
	return t
}
