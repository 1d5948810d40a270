package squashfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// readBack is the tree that is in an image of a tree.
func readBack(t testing.TB, tr *tree.Tree, o squashfs.Options) *tree.Tree {
	t.Helper()
	got, err := readFrom(image(t, tr, o))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What is just possible is held as it is, by the kernel's word, too.
func TestLimitsAreHeld(t *testing.T) {
	inodes := map[string]tree.Inode{
		"early":  {Mode: tree.Regular},
		"late":   {Mode: tree.Regular, ModTime: tree.Time{Sec: 1<<32 - 1}},
		"device": {Mode: tree.CharDev, Major: 4095, Minor: 1<<20 - 1},
		"block":  {Mode: tree.BlockDev | 0o600, Major: 8, Minor: 256},
		"value":  {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "user.value", Value: string(treetest.Random(1, 1<<15))}}},
		"name":   {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "trusted." + strings.Repeat("n", 247), Value: ""}}},
		"link":   {Mode: tree.Symlink, Target: strings.Repeat("t", 4095)},
		"linked": {Mode: tree.Symlink, Target: "x", Xattrs: []tree.Xattr{{Name: "security.x", Value: "of a link"}}},
		"fifo":   {Mode: tree.Fifo | 0o7777, Xattrs: []tree.Xattr{{Name: "trusted.f", Value: "of a fifo"}}},
		"node":   {Mode: tree.CharDev | 0o600, Major: 1, Minor: 3, Xattrs: []tree.Xattr{{Name: "trusted.d", Value: "of a device"}}},
	}
	for _, size := range []int{1, 4095, 4096, 4097, 8191, 8192, 8193, 12288} {
		inodes[fmt.Sprintf("size-%d", size)] = treetest.File(0o644, string(treetest.Random(uint64(size), size)))
		inodes[fmt.Sprintf("zeros-%d", size)] = treetest.File(0o644, string(make([]byte, size)))
		inodes[fmt.Sprintf("text-%d", size)] = treetest.File(0o644, strings.Repeat("t", size))
	}
	tr := treetest.Of(t, inodes)
	for name, o := range map[string]squashfs.Options{"4 KiB": {BlockSize: 4096}, "8 KiB": {BlockSize: 8192, Compression: squashfs.Gzip, Level: 1}, "128 KiB": {}} {
		treetest.Report(t, treetest.Compare(tr, readBack(t, tr, o), treetest.All))
		if name == "4 KiB" {
			treetest.Report(t, treetest.Compare(tr, imagetest.Mounted(t, "squashfs", image(t, tr, o).Name()), treetest.All))
		}
	}
}

// The format has 16 bits for the distance of inodes' numbers in a run of a
// directory, 16 for the size of small directories and 256 entries in a run.
func TestLargeDirectories(t *testing.T) {
	var b tree.Builder
	for _, dir := range []string{"a", "z", "long"} {
		if err := b.Add(dir, tree.Inode{Mode: tree.Directory | 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 33_000 {
		if err := b.Add(fmt.Sprintf("a/%05d", i), tree.Inode{Mode: tree.Regular | 0o644}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 600 {
		err := errors.Join(
			b.Add("long/"+strings.Repeat("n", 250)+fmt.Sprintf("%05d", i), tree.Inode{Mode: tree.Regular | 0o600}),
			b.Link(fmt.Sprintf("z/%05d", i), fmt.Sprintf("a/%05d", 55*i)),
			b.Add(fmt.Sprintf("z/%05d-own", i), tree.Inode{Mode: tree.Fifo | 0o644}))
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := image(t, tr, squashfs.Options{})
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, got, treetest.All))
	treetest.Report(t, treetest.Compare(tr, imagetest.Mounted(t, "squashfs", f.Name()), treetest.All))
}

// 65,535 different owners and groups are the most, and are kept.
func TestManyOwners(t *testing.T) {
	inodes := map[string]tree.Inode{}
	for i := range uint32(32767) {
		inodes[fmt.Sprint(i)] = tree.Inode{Mode: tree.Regular, UID: 100_000 + 2*i, GID: 100_001 + 2*i}
	}
	tr := treetest.Of(t, inodes)
	treetest.Report(t, treetest.Compare(tr, readBack(t, tr, squashfs.Options{}), treetest.All))
}

// Whichever writing fails, so does the whole.
func TestErrorsOfTheDisk(t *testing.T) {
	tr := holdable(t)
	treetest.RunBroken(t, math.MaxInt64, func(w io.WriterAt) error {
		_, err := squashfs.Write(t.Context(), w, tr, squashfs.Options{Level: 1})
		return err
	})
}

// A tree that was put together in the reverse order is the same one.
func TestOrderOfConstruction(t *testing.T) {
	write := func(tr *tree.Tree) []byte {
		return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, tr, squashfs.Options{}) })
	}
	if tr := holdable(t); !bytes.Equal(write(tr), write(treetest.Reversed(t, tr))) {
		t.Error("the bytes depend on the order of construction")
	}
}

func TestCancelledWithoutFiles(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := squashfs.Write(ctx, treetest.Nowhere{}, treetest.Of(t, nil), squashfs.Options{}); err == nil {
		t.Error("a cancelled writing of an empty tree is no error")
	}
	raw := sample(t, squashfs.Options{})
	if _, err := squashfs.Read(ctx, bytes.NewReader(raw), int64(len(raw))); err == nil {
		t.Error("a cancelled reading is no error")
	}
}
