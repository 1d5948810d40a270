package iso_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// deepTree has more levels than ISO 9660 allows, long names, and targets that go on
// in other places.
func deepTree(t testing.TB) *tree.Tree {
	t.Helper()
	var b tree.Builder
	add := func(path string, n tree.Inode) {
		n.ModTime.Sec = 1_700_000_000
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, top := range []string{"one", "two"} {
		path := top
		for level := range 14 {
			add(path, tree.Inode{Mode: tree.Directory | 0o750 + tree.Mode(level%2)})
			add(path+"/file", treetest.File(0o640, fmt.Sprint(path, strings.Repeat(" again and again", 9000*(level%3)))))
			path += fmt.Sprint("/level ", level)
		}
	}
	add("one/"+strings.Repeat("n", 240), treetest.File(0o600, "long"))
	add("link", tree.Inode{Mode: tree.Symlink | 0o777, Target: strings.Repeat("x", 100) + "/.././" + strings.Repeat("y", 100) + "/end"})
	add("root", tree.Inode{Mode: tree.Symlink | 0o777, Target: "/"})
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// Directories that Rock Ridge moved are where they belong, and what zisofs
// compressed is as it was.
func TestMovedAndCompressed(t *testing.T) {
	tr := deepTree(t)
	source := filepath.Join(t.TempDir(), "source")
	if err := dir.Write(t.Context(), source, tr, dir.Options{}); err != nil {
		t.Fatal(err)
	}
	for name, argv := range map[string][]string{
		"moved by genisoimage":  {"genisoimage", "-quiet", "-R", "-o", "IMAGE", source},
		"compressed by xorriso": {"xorriso", "-report_about", "WARNING", "-outdev", "IMAGE", "-map", source, "/", "-set_filter_r", "--zisofs", "/", "--"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			for i := range argv {
				argv[i] = strings.Replace(argv[i], "IMAGE", path, 1)
			}
			imagetest.Tool(t, argv...)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			v, err := volume(f)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := f.Stat(); err != nil || (info.Size() < tr.ContentSize()/4) != strings.HasPrefix(name, "compressed") {
				t.Errorf("the image has %d bytes, and the files %d, %v", info.Size(), tr.ContentSize(), err)
			}
			// What was moved leaves its old place behind, empty.
			got := tree.Filter(v.Tree, func(n tree.Node) bool { return n.Path() != "rr_moved" })
			if moved := got.Len() != v.Tree.Len(); moved != strings.HasPrefix(name, "moved") {
				t.Errorf("%d entries and %d without rr_moved", v.Tree.Len(), got.Len())
			}
			treetest.Report(t, treetest.Compare(tr, got, holds&^(treetest.RootInode|treetest.Owner)))
			if err := treetest.Read(v.Tree); err != nil {
				t.Error(err)
			}
		})
	}
}
