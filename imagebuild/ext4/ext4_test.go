package ext4_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func golden() ext4.Options {
	return ext4.Options{UUID: [16]byte{1, 2, 3}, HashSeed: [16]byte{4, 5, 6, 7, 8}, Label: "samebits", Time: treetest.Epoch, Free: 300 << 20}
}

func writeTo(f *os.File, tr *tree.Tree, o ext4.Options) error {
	size, err := ext4.Write(context.Background(), f, tr, o)
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

// image writes a tree to a file.
func image(t testing.TB, tr *tree.Tree, o ext4.Options) *os.File {
	return imagetest.File(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

func TestE2fsck(t *testing.T) {
	for name, o := range map[string]ext4.Options{
		"least": {}, "golden": golden(), "no journal": {NoJournal: true}, "10 GiB": {Size: 10 << 30, Reserved: 5},
		"odd": {Size: 128<<20 + 8192 + 5}, "many inodes": {BytesPerInode: 1024, Free: 3 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tr := range []*tree.Tree{treetest.Odd(), treetest.WithSocket(), treetest.Large()} {
				f := image(t, tr, o)
				imagetest.Tool(t, "e2fsck", "-fn", f.Name())
			}
		})
	}
}

// mount mounts an image at a directory, which is returned.
func mount(t testing.TB, image string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	at := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, at).CombinedOutput(); err != nil {
		t.Skipf("cannot mount here: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", at).Run() })
	return at
}

func TestLinuxMountsIt(t *testing.T) {
	f := image(t, treetest.Odd(), golden())
	at := mount(t, f.Name())
	got, err := dir.Read(t.Context(), at, dir.ReadOptions{Skip: func(path string) bool { return path == "lost+found" }})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Odd(), got, treetest.All))
}
