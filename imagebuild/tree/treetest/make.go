package treetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Of is a tree of inodes by their paths.
func Of(t testing.TB, inodes map[string]tree.Inode) *tree.Tree {
	t.Helper()
	var b tree.Builder
	for path, n := range inodes {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	return frozen(t, &b)
}

func frozen(t testing.TB, b *tree.Builder) *tree.Tree {
	t.Helper()
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// Sample is a tree of seven paths with one of most kinds, and a text of 45,000
// bytes, for tests that change an image's bytes.
func Sample(t testing.TB) *tree.Tree {
	t.Helper()
	var b tree.Builder
	for _, err := range []error{
		b.Add("d", tree.Inode{Mode: tree.Directory | 0o755}),
		b.Add("d/f", File(0o644, strings.Repeat("text ", 9000))),
		b.Link("hard", "d/f"),
		b.Add("link", tree.Inode{Mode: tree.Symlink, Target: "d"}),
		b.Add("x", tree.Inode{Mode: tree.Regular | 0o600, Xattrs: []tree.Xattr{{Name: "user.a", Value: "b"}}}),
		b.Add("null", tree.Inode{Mode: tree.CharDev | 0o600, Major: 1, Minor: 3}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return frozen(t, &b)
}

// Reversed is the same tree, put together from its last path to its first: what
// is written of both has to be the same.
func Reversed(t testing.TB, tr *tree.Tree) *tree.Tree {
	t.Helper()
	var b tree.Builder
	for _, n := range slices.Backward(slices.Collect(tr.All())) {
		var err error
		if n == n.Last() {
			err = b.Set(n.Path(), n.Inode())
		} else {
			err = b.SetLink(n.Path(), n.Last().Path())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return frozen(t, &b)
}
