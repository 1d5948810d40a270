package erofs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// kinds are the ways in which a file system may be written.
func kinds() map[string]erofs.Options {
	id := [16]byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x80, 1, 2, 3, 4, 5, 6, 7}
	return map[string]erofs.Options{
		"plain": {UUID: id, Label: "plain", BuildTime: treetest.Epoch},
		"lz4":   {UUID: id, Label: "a label of 16 by", Compression: erofs.LZ4, BuildTime: treetest.Epoch},
		"zstd":  {UUID: id, Compression: erofs.Zstd, BuildTime: tree.Time{Sec: 1, Nsec: 2}},
	}
}

func writeTo(f *os.File, tr *tree.Tree, o erofs.Options) error {
	size, err := erofs.Write(context.Background(), f, tr, o)
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

// image writes a tree to a file.
func image(t testing.TB, tr *tree.Tree, o erofs.Options) *os.File {
	return imagetest.File(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

func TestLinuxMountsIt(t *testing.T) {
	odd := treetest.Odd()
	for name, o := range kinds() {
		t.Run(name, func(t *testing.T) {
			got := imagetest.Mounted(t, "erofs", image(t, odd, o).Name())
			treetest.Report(t, treetest.Compare(odd, got, treetest.All))
		})
	}
}

// Debian's fsck.erofs 1.5 knows no zstd, which Linux alone is asked about.
func TestFsck(t *testing.T) {
	odd := treetest.Odd()
	for _, name := range []string{"plain", "lz4"} {
		t.Run(name, func(t *testing.T) {
			f := image(t, odd, kinds()[name])
			at := filepath.Join(t.TempDir(), "out")
			imagetest.Tool(t, "fsck.erofs", "--extract="+at, f.Name())
			got, err := dir.Read(t.Context(), at, dir.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// It extracts no attributes and hard links, loses the bits above the
			// permissions when it changes owners, and cuts off zeros at the end.
			differences := treetest.Compare(odd, got, treetest.All&^(treetest.Xattrs|treetest.Links|treetest.Permissions))
			treetest.Report(t, slices.DeleteFunc(differences, func(d string) bool {
				return strings.HasPrefix(d, "/sizes/sparse: ") || strings.HasPrefix(d, "/sizes/zeros: ")
			}))
			out := imagetest.Tool(t, "dump.erofs", f.Name())
			for _, want := range []string{"Filesystem UUID:                              12345678-9abc-4def-8001-020304050607", fmt.Sprint(odd.NumInodes())} {
				if !strings.Contains(out, want) {
					t.Errorf("dump.erofs does not say %q:\n%s", want, out)
				}
			}
		})
	}
}
