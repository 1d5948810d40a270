package initramfs

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// maxLinks is how many symbolic links are followed in one path, as Linux does.
const maxLinks = 40

// lookup finds what a path leads to within a tree, links followed. What is not
// there is an error that wraps fs.ErrNotExist.
func lookup(t *tree.Tree, name string) (tree.Node, error) {
	root, _ := t.Lookup("")
	at, rest := root, strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		step := rest[0]
		rest = rest[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			at = at.Parent()
			continue
		}
		next, ok := at.Child(step)
		if !ok {
			return next, fmt.Errorf("%s: %w", tree.Display(name), fs.ErrNotExist)
		}
		if next.Mode().Type() != tree.Symlink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return next, fmt.Errorf("%s: too many symbolic links", tree.Display(name))
		}
		target := next.Inode().Target
		if path.IsAbs(target) {
			at = root
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// file finds a regular file.
func file(t *tree.Tree, name string) (tree.Node, bool) {
	n, err := lookup(t, name)
	return n, err == nil && n.Mode().IsRegular()
}

// firstFile finds the first of several names that is a regular file.
func firstFile(t *tree.Tree, names ...string) (tree.Node, string, bool) {
	for _, name := range names {
		if n, ok := file(t, name); ok {
			return n, name, true
		}
	}
	return tree.Node{}, "", false
}

// read returns the content of a file of at most max bytes.
func read(n tree.Node, max int64) ([]byte, error) {
	if n.Inode().Size > max {
		return nil, &tree.PathError{Path: n.Path(), Err: fmt.Errorf("%d bytes are more than the %d that are read of such a file", n.Inode().Size, max)}
	}
	var b limited
	err := n.CopyTo(&b)
	return b.data, err
}

type limited struct{ data []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.data = append(l.data, p...)
	return len(p), nil
}
