package tree

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// Builder collects the nodes of a tree, in any order. It is for one goroutine.
// The zero Builder is empty and ready.
type Builder struct {
	inodes map[string]*Inode
}

// Root is what the root directory is until it is set: 0755, of user and group
// 0, of 1970.
var Root = Inode{Mode: Directory | 0o755}

// ErrExists says that a path was added before.
var ErrExists = errors.New("the path is there twice")

// Add puts a new inode at a path where nothing was put yet, else the error is
// an [ErrExists]. The directories that it is in may come later.
func (b *Builder) Add(path string, inode Inode) error {
	if _, found := b.inodes[path]; found {
		return &PathError{path, ErrExists}
	}
	return b.Set(path, inode)
}

// Set puts a new inode at a path, in place of what was there. Other paths of
// that one keep it. What is below a directory that is replaced stays, and is an
// error of Freeze unless the new one is a directory, too.
func (b *Builder) Set(path string, inode Inode) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if path == "" && !inode.Mode.IsDir() {
		return &PathError{path, errors.New("the root must be a directory")}
	}
	n, err := inode.canonical()
	if err != nil {
		return &PathError{path, err}
	}
	b.put(path, n)
	return nil
}

func (b *Builder) put(path string, n *Inode) {
	if b.inodes == nil {
		b.inodes = map[string]*Inode{}
	}
	b.inodes[path] = n
}

// Link makes path, where nothing was put yet, another path of the inode at
// target, which was put before and is no directory.
func (b *Builder) Link(path, target string) error {
	if _, found := b.inodes[path]; found {
		return &PathError{path, ErrExists}
	}
	return b.SetLink(path, target)
}

// SetLink is Link, in place of what was at path.
func (b *Builder) SetLink(path, target string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	n, found := b.inodes[target]
	switch {
	case !found:
		return &PathError{path, fmt.Errorf("a hard link to %s, which is not there", Display(target))}
	case n.Mode.IsDir():
		return &PathError{path, fmt.Errorf("a hard link to %s, which is a directory", Display(target))}
	}
	b.put(path, n)
	return nil
}

// Remove takes away a path and, if it is a directory, all that is in it. It
// looks at every path, so that [Filter] is better for many. The root stays.
func (b *Builder) Remove(path string) {
	n, found := b.inodes[path]
	if !found || path == "" {
		return
	}
	delete(b.inodes, path)
	if n.Mode.IsDir() {
		for other := range b.inodes {
			if below(other, path) {
				delete(b.inodes, other)
			}
		}
	}
}

// Lookup is the inode that was put at a path.
func (b *Builder) Lookup(path string) (Inode, bool) {
	n, found := b.inodes[path]
	if !found {
		return Inode{}, false
	}
	return *n, true
}

// Len is the number of paths that were put.
func (b *Builder) Len() int { return len(b.inodes) }

// Paths are those that were put, in no order.
func (b *Builder) Paths() iter.Seq[string] {
	return func(yield func(string) bool) {
		for path := range b.inodes {
			if !yield(path) {
				return
			}
		}
	}
}

// Freeze makes the tree. It fails where a parent is missing or no directory,
// and where a content that has to be hashed cannot be read or is not of the
// size that was told. The builder may be used further and does not touch the
// tree.
func (b *Builder) Freeze(ctx context.Context) (*Tree, error) {
	d := draft{entries: make([]entry, 0, len(b.inodes)+1)}
	for path, n := range b.inodes {
		d.add(path, n)
	}
	return d.freeze(ctx)
}

// Edit is a builder that holds what the tree does.
func (t *Tree) Edit() *Builder {
	b := &Builder{inodes: make(map[string]*Inode, len(t.nodes))}
	for i := range t.nodes {
		b.inodes[t.nodes[i].path] = t.inodes[t.nodes[i].inode]
	}
	return b
}
