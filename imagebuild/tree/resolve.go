package tree

import (
	"fmt"
	"io/fs"
	"strings"
)

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// Resolve is the node that a path leads to for a process whose root the tree
// is: symbolic links are followed, ".." of the root is the root. Where there is
// no such node, the error wraps [fs.ErrNotExist].
func (t *Tree) Resolve(path string) (Node, error) {
	at, rest := t.Root(), path
	for links := 0; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			at = at.Parent()
			continue
		}
		next, ok := at.Child(name)
		if !ok {
			return Node{}, &PathError{Path: path, Err: fs.ErrNotExist}
		}
		if next.Mode().Type() != Symlink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return Node{}, &PathError{Path: path, Err: fmt.Errorf("it leads through more than %d symbolic links", maxLinks)}
		}
		target := next.Inode().Target
		if strings.HasPrefix(target, "/") {
			at = t.Root()
		}
		rest = target + "/" + rest
	}
	return at, nil
}

// File is the regular file that a path leads to, as Resolve has it, and
// whether there is one.
func (t *Tree) File(path string) (Node, bool) {
	n, err := t.Resolve(path)
	return n, err == nil && n.Mode().IsRegular()
}
