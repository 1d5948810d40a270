package squashfs_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// kinds are the ways in which a file system may be written.
func kinds() map[string]squashfs.Options {
	return map[string]squashfs.Options{
		"zstd":         {Time: 1772323200},
		"gzip":         {Compression: squashfs.Gzip, Level: 6},
		"small blocks": {BlockSize: 4096, Level: 1},
		"large blocks": {BlockSize: 1 << 20, Level: 4},
	}
}

// holds is what squashfs holds of a tree that it can hold.
const holds = treetest.All &^ treetest.Nanoseconds

// holdable is the odd tree as squashfs holds it.
func holdable(t testing.TB) *tree.Tree {
	t.Helper()
	got, err := tree.Map(t.Context(), treetest.Odd(), func(_ tree.Node, n tree.Inode) (tree.Inode, error) {
		n.Xattrs = slices.DeleteFunc(slices.Clone(n.Xattrs), func(x tree.Xattr) bool { return strings.HasPrefix(x.Name, "system.") })
		n.ModTime.Sec = min(max(n.ModTime.Sec, 0), 1<<32-1)
		return n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func writeTo(f *os.File, tr *tree.Tree, o squashfs.Options) error {
	size, err := squashfs.Write(context.Background(), f, tr, o)
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

// image writes a tree to a file.
func image(t testing.TB, tr *tree.Tree, o squashfs.Options) *os.File {
	return imagetest.File(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

func TestLinuxMountsIt(t *testing.T) {
	tr := holdable(t)
	for name, o := range kinds() {
		t.Run(name, func(t *testing.T) {
			got := imagetest.Mounted(t, "squashfs", image(t, tr, o).Name())
			treetest.Report(t, treetest.Compare(tr, got, holds))
		})
	}
}

func TestUnsquashfs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make devices")
	}
	tr := holdable(t)
	for name, o := range kinds() {
		t.Run(name, func(t *testing.T) {
			at := filepath.Join(t.TempDir(), "out")
			imagetest.Tool(t, "unsquashfs", "-quiet", "-no-progress", "-strict-errors", "-d", at, image(t, tr, o).Name())
			got, err := dir.Read(t.Context(), at, dir.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			treetest.Report(t, treetest.Compare(tr, got, holds))
		})
	}
}
