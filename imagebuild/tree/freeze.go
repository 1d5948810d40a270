package tree

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// entry is a path and its inode, which is in its canonical form and which other
// entries and other trees may share.
type entry struct {
	path  string
	inode *Inode
}

// draft is the entries that are to be a tree, each path once.
type draft struct{ entries []entry }

func (d *draft) add(path string, n *Inode) { d.entries = append(d.entries, entry{path, n}) }

// freeze sorts, checks, numbers and hashes.
func (d *draft) freeze(ctx context.Context) (*Tree, error) {
	slices.SortFunc(d.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	if len(d.entries) == 0 || d.entries[0].path != "" {
		root := Root
		d.entries = slices.Insert(d.entries, 0, entry{"", &root})
	}
	if err := d.settle(ctx); err != nil {
		return nil, err
	}
	t := &Tree{nodes: make([]node, len(d.entries)), links: map[int32][]int32{}}
	t.number(d.entries)
	if err := t.join(); err != nil {
		return nil, err
	}
	return t, nil
}

// settle finds out the digests that are not known. Inodes may be shared with
// other trees or a builder, so that one that changes is replaced by a copy.
func (d *draft) settle(ctx context.Context) error {
	copies := map[*Inode]*Inode{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range d.entries {
		e := &d.entries[i]
		if !e.inode.Mode.IsRegular() || e.inode.Digest != (Digest{}) {
			continue
		}
		settled, found := copies[e.inode]
		if !found {
			clone := *e.inode
			settled = &clone
			copies[e.inode] = settled
			path := e.path
			group.Go(func() error { return settled.settle(ctx, path) })
		}
		e.inode = settled
	}
	return group.Wait()
}

// number gives the nodes their inodes, numbered by their smallest paths.
func (t *Tree) number(entries []entry) {
	seen := make(map[*Inode]int32, len(entries))
	t.inodes = make([]*Inode, 0, len(entries))
	t.firsts = make([]int32, 0, len(entries))
	for i, e := range entries {
		number, found := seen[e.inode]
		if !found {
			number = int32(len(t.inodes))
			seen[e.inode] = number
			t.inodes = append(t.inodes, e.inode)
			t.firsts = append(t.firsts, int32(i))
		} else {
			if t.links[number] == nil {
				t.links[number] = []int32{t.firsts[number]}
			}
			t.links[number] = append(t.links[number], int32(i))
		}
		t.nodes[i] = node{path: e.path, inode: number, child: -1, next: -1}
	}
}

// join makes children of their parents.
func (t *Tree) join() error {
	last := make([]int32, len(t.nodes)) // the last child so far
	parent := int32(0)
	for i := 1; i < len(t.nodes); i++ {
		n := &t.nodes[i]
		if path := parentOf(n.path); t.nodes[parent].path != path {
			p, found := t.Lookup(path)
			if !found {
				return &PathError{n.path, fmt.Errorf("the directory %s that it is in is missing", Display(path))}
			}
			parent = p.i
		}
		if !t.inodes[t.nodes[parent].inode].Mode.IsDir() {
			return &PathError{n.path, fmt.Errorf("%s is not a directory", Display(t.nodes[parent].path))}
		}
		n.parent = parent
		if last[parent] == 0 {
			t.nodes[parent].child = int32(i)
		} else {
			t.nodes[last[parent]].next = int32(i)
		}
		last[parent] = int32(i)
		if t.inodes[n.inode].Mode.IsDir() {
			t.nodes[parent].dirs++
		}
	}
	return nil
}
