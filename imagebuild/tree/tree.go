package tree

import (
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Tree is a file tree that never changes. Its methods may be called
// concurrently.
type Tree struct {
	nodes  []node
	inodes []*Inode          // by number; shared with other trees
	firsts []int32           // the smallest path's node of each inode
	links  map[int32][]int32 // all nodes of the inodes that have more than one
}

// node is a path. Its links to others are positions in Tree.nodes, -1 for none.
type node struct {
	path                       string
	inode, parent, child, next int32
	dirs                       int32 // directories in it
}

// Len is the number of paths, the root's with them.
func (t *Tree) Len() int { return len(t.nodes) }

// NumInodes is the number of inodes.
func (t *Tree) NumInodes() int { return len(t.inodes) }

// At is the node that [Node.Index] has numbered.
func (t *Tree) At(index int) Node { return Node{t, int32(index)} }

// Root is the node of the root directory.
func (t *Tree) Root() Node { return Node{t, 0} }

// All goes through all nodes in the order of the bytes of their paths.
func (t *Tree) All() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for i := range t.nodes {
			if !yield(Node{t, int32(i)}) {
				return
			}
		}
	}
}

// Inodes goes through the smallest path of each inode, in the order of
// [Node.InodeIndex], which is that of the paths' bytes.
func (t *Tree) Inodes() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for _, first := range t.firsts {
			if !yield(Node{t, first}) {
				return
			}
		}
	}
}

// Lookup is the node at a path. Symbolic links are not followed.
func (t *Tree) Lookup(path string) (Node, bool) {
	i, found := slices.BinarySearchFunc(t.nodes, path, func(n node, path string) int { return strings.Compare(n.path, path) })
	if !found {
		return Node{}, false
	}
	return Node{t, int32(i)}, true
}

// ContentSize is the number of bytes of all files, each inode counted once.
func (t *Tree) ContentSize() int64 {
	var sum int64
	for _, n := range t.inodes {
		sum += n.Size
	}
	return sum
}

// Node is a path in a tree. Nodes of one tree compare with ==; the zero Node is
// none of any tree, and of no use.
type Node struct {
	t *Tree
	i int32
}

func (n Node) node() *node { return &n.t.nodes[n.i] }

func (n Node) inode() *Inode { return n.t.inodes[n.node().inode] }

// Path is the whole path without a leading slash, "" for the root.
func (n Node) Path() string { return n.node().path }

// Name is the last name of the path, "" for the root.
func (n Node) Name() string {
	path := n.node().path
	return path[strings.LastIndexByte(path, '/')+1:]
}

// Index is the node's place in the order of all paths, from 0, the root's.
func (n Node) Index() int { return int(n.i) }

// Parent is the directory that the node is in; the root is in itself.
func (n Node) Parent() Node { return Node{n.t, n.node().parent} }

// Children goes through what is in a directory, in the order of the names'
// bytes. Nothing is in what is not a directory.
func (n Node) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for i := n.node().child; i >= 0; i = n.t.nodes[i].next {
			if !yield(Node{n.t, i}) {
				return
			}
		}
	}
}

// Child is the node of a name in a directory.
func (n Node) Child(name string) (Node, bool) {
	if n.i == 0 {
		return n.t.Lookup(name)
	}
	return n.t.Lookup(n.node().path + "/" + name)
}

// Inode is what the path stands for.
func (n Node) Inode() Inode { return *n.inode() }

// Mode is that of the inode.
func (n Node) Mode() Mode { return n.inode().Mode }

// InodeIndex is the inode's place in the order of the inodes' smallest paths,
// from 0, the root's.
func (n Node) InodeIndex() int { return int(n.node().inode) }

// LinkCount is st_nlink: the number of the inode's paths, and for a directory 2
// and one more for each directory in it.
func (n Node) LinkCount() int {
	if !n.Mode().IsDir() {
		return max(1, len(n.t.links[n.node().inode]))
	}
	return 2 + int(n.node().dirs)
}

// First is the smallest of the inode's paths, which is often the node itself.
func (n Node) First() Node { return Node{n.t, n.t.firsts[n.node().inode]} }

// IsFirst reports whether the node is the smallest path of its inode.
func (n Node) IsFirst() bool { return n == n.First() }

// Last is the greatest of the inode's paths.
func (n Node) Last() Node {
	links := n.t.links[n.node().inode]
	if len(links) == 0 {
		return n
	}
	return Node{n.t, links[len(links)-1]}
}

// Links goes through all paths of the inode, in order.
func (n Node) Links() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		links := n.t.links[n.node().inode]
		if len(links) == 0 {
			yield(n)
			return
		}
		for _, i := range links {
			if !yield(Node{n.t, i}) {
				return
			}
		}
	}
}

// Open is the content of a regular file. Reading it fails where it has not the
// size and digest that the tree says, the latter at its end, so that it has to
// be read to [io.EOF]. To read at random, open the inode's Content instead.
// Errors name the path.
func (n Node) Open() (io.ReadCloser, error) { return n.inode().open(n.Path()) }

// CopyTo writes the content of a regular file to w: all of it and checked, or
// an error that names the path, unless it is one of w.
func (n Node) CopyTo(w io.Writer) error {
	r, err := n.Open()
	if err != nil {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, r, *buffer) // w has no better way than this buffer
	if closeErr := r.Close(); err == nil && closeErr != nil {
		err = &PathError{n.Path(), closeErr}
	}
	return err
}

var buffers = sync.Pool{New: func() any { b := make([]byte, aheadSize+1); return &b }}
