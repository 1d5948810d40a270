package ext4_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// deepTree has a file of so many extents, a directory of so many leaves and
// attributes so large that each takes the levels that small ones do not.
func deepTree(t testing.TB) *tree.Tree {
	t.Helper()
	var b tree.Builder
	add := func(path string, n tree.Inode) {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	var holes bytes.Buffer
	for range 3000 {
		holes.WriteString("x")
		holes.Write(make([]byte, 8191))
	}
	add("fragmented", treetest.File(0o644, holes.String()))
	add("long names", tree.Inode{Mode: tree.Directory | 0o755})
	for i := range 9000 {
		add("long names/"+strings.Repeat("n", 240)+fmt.Sprint(i), treetest.File(0o644, ""))
	}
	add("directories", tree.Inode{Mode: tree.Directory | 0o755})
	for i := range 1100 {
		n := treetest.File(0o644, "")
		n.Xattrs = []tree.Xattr{{Name: "user.shared", Value: strings.Repeat("s", 3000)}}
		add(fmt.Sprintf("shared-%d", i), n)
		add(fmt.Sprintf("directories/%d", i), tree.Inode{Mode: tree.Directory | 0o755})
	}
	add("high", tree.Inode{Mode: tree.BlockDev | 0o600, Major: 4095, Minor: 1<<20 - 1})
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestDeepStructures(t *testing.T) {
	tr := deepTree(t)
	f := image(t, tr, ext4.Options{})
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, got, treetest.All))
	out := imagetest.Tool(t, "debugfs", "-R", `htree_dump "/long names"`, f.Name())
	if !strings.Contains(out, "Indirect levels: 1") {
		t.Errorf("the directory has one level:\n%.600s", out)
	}
	at := mount(t, f.Name())
	got, err = dir.Read(t.Context(), at, dir.ReadOptions{Skip: func(path string) bool { return path == "lost+found" }})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, got, treetest.All))
}

// Nobody pays for what is not there, and Size says what Write will.
func TestSizes(t *testing.T) {
	for name, o := range map[string]ext4.Options{"least": {}, "free": {Free: 1 << 30}, "given": {Size: 10<<30 + 5}} {
		want, err := ext4.Size(treetest.Odd(), o)
		if err != nil {
			t.Fatal(err)
		}
		f := image(t, treetest.Odd(), o)
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != want {
			t.Errorf("%s: Size says %d, Write %d", name, want, info.Size())
		}
		var kib int64
		if _, err := fmt.Sscan(imagetest.Tool(t, "du", "-k", f.Name()), &kib); err != nil {
			t.Fatal(err)
		}
		if kib > 45<<10 { // 6000 files of a block, and 12 MB
			t.Errorf("%s: the disk costs %d KiB", name, kib)
		}
	}
}

// Any size that the tables fit into gives a sound file system, at the edges of
// groups as well.
func TestSizesAtEdgesOfGroups(t *testing.T) {
	tr := build(t, "file", treetest.File(0o644, "content\n"))
	for _, blocks := range []int64{1200, 32767, 32768, 32769, 32771, 32780, 32800, 5*32768 + 3, 16 * 32768, 16*32768 + 1, 16*32768 + 17, 16*32768 + 600, 17*32768 + 40} {
		imagetest.Tool(t, "e2fsck", "-fn", image(t, tr, ext4.Options{Size: blocks * 4096}).Name())
	}
	for free := int64(120 << 20); free < 130<<20; free += 300 << 10 {
		imagetest.Tool(t, "e2fsck", "-fn", image(t, tr, ext4.Options{Free: free}).Name())
	}
}

// Extents have 32768 blocks at most, of which a large journal takes several.
func TestLargeJournal(t *testing.T) {
	f := image(t, build(t, "file", treetest.File(0o644, "content\n")), ext4.Options{Size: 4 << 30, Journal: 2 << 30})
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
	mount(t, f.Name())
}
