package initramfs

import (
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

// firstFile finds the first of several names that is a regular file.
func firstFile(t *tree.Tree, names ...string) (tree.Node, string, bool) {
	for _, name := range names {
		if n, ok := t.File(name); ok {
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
