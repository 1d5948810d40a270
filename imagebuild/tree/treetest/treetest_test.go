package treetest

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
)

func TestOddIsForEver(t *testing.T) {
	odd := Odd()
	const golden = "827b2c3bebf8b5788a48df65ee697f88e684aaef81fdf134f25bba197373d50b"
	if got := odd.Digest().String(); got != golden {
		t.Errorf("the odd tree has the digest %s; golden digests of all writers rest on %s", got, golden)
	}
	if err := Read(odd); err != nil {
		t.Error(err)
	}
	if size := odd.ContentSize(); size > 16<<20 || odd.Len() < 6000 {
		t.Errorf("%d paths, %d bytes", odd.Len(), size)
	}
}

func TestLargeHasItsDigest(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 4 GiB")
	}
	large := Large()
	if err := Read(large); err != nil {
		t.Error(err)
	}
}

func TestHolesAreZero(t *testing.T) {
	n := Holes(10_000, []tree.Extent{{Offset: 100, Length: 50}, {Offset: 9_990, Length: 10}})
	r, err := n.Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil || len(all) != 10_000 {
		t.Fatalf("%d bytes, %v", len(all), err)
	}
	if string(all[100:150]) != string(Random(100, 50)) || string(all[9_990:]) != string(Random(9_990, 10)) {
		t.Error("the extents are not random")
	}
	if strings.Trim(string(all[150:9_990])+string(all[:100]), "\x00") != "" {
		t.Error("the holes are not zero")
	}
	part := make([]byte, 30)
	if _, err := r.(io.ReaderAt).ReadAt(part, 120); err != nil || string(part) != string(all[120:150]) {
		t.Error("reading at random gives other bytes")
	}
}

func TestCompareTellsEachAttribute(t *testing.T) {
	base := &maker{}
	base.file("file", "content")
	base.link("hard", "file")
	base.dir("dir")
	base.set("link", tree.Inode{Mode: tree.Symlink, Target: "a"})
	base.set("dev", tree.Inode{Mode: tree.CharDev, Major: 1})
	want := base.freeze()
	for _, c := range []struct {
		path   string
		mask   Mask
		change func(*tree.Inode)
		told   string
	}{
		{"file", Permissions, func(n *tree.Inode) { n.Mode |= tree.SetUID }, "/file: mode 4644, want 0644"},
		{"dir", Owner, func(n *tree.Inode) { n.GID = 5 }, "/dir: owner 0:5, want 0:0"},
		{"file", Seconds, func(n *tree.Inode) { n.ModTime = tree.Time{Sec: 5} }, "/file: time 5.000000000, want 1772323200.000000000"},
		{"file", Seconds | Nanoseconds, func(n *tree.Inode) { n.ModTime.Nsec = 5 }, "/file: time 1772323200.000000005, want 1772323200.000000000"},
		{"dir", Seconds | DirTimes, func(n *tree.Inode) { n.ModTime.Sec++ }, "/dir: time 1772323201.000000000, want 1772323200.000000000"},
		{"link", Seconds | LinkTimes, func(n *tree.Inode) { n.ModTime.Sec-- }, "/link: time -1.000000000, want 0.000000000"},
		{"dev", Devices, func(n *tree.Inode) { n.Minor = 2 }, "/dev: device 1,2, want 1,0"},
		{"dir", Xattrs, func(n *tree.Inode) { n.Xattrs = []tree.Xattr{{Name: "user.a", Value: "v"}} }, `/dir: extended attributes: "user.a" is too many`},
		{"file", Content, func(n *tree.Inode) { n.Content, n.Size = tree.Bytes(nil), 0; n.Digest = tree.Digest{} }, "/file: 0 bytes, want 7"},
		{"file", Content, func(n *tree.Inode) { n.Content = tree.Bytes([]byte("CONTENT")); n.Digest = tree.Digest{} }, "/file: SHA-256 65f23e"},
		{"link", 0, func(n *tree.Inode) { n.Target = "b" }, `/link: leads to "b", want "a"`},
		{"", RootInode | Owner, func(n *tree.Inode) { n.UID = 5 }, `/: owner 5:0, want 0:0`},
	} {
		got, err := tree.Map(context.Background(), want, func(n tree.Node, inode tree.Inode) (tree.Inode, error) {
			if n.Path() == c.path {
				c.change(&inode)
			}
			return inode, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		told := Compare(want, got, c.mask)
		if len(told) == 0 || !strings.HasPrefix(told[0], c.told) {
			t.Errorf("told %q, want %q", told, c.told)
		}
		if c.mask != 0 {
			if told := Compare(want, got, All&^c.mask); len(told) > 0 {
				t.Errorf("without the mask of %q, told %q", c.told, told)
			}
		}
	}
}

func TestCompareTellsPathsAndLinks(t *testing.T) {
	one, two := &maker{}, &maker{}
	one.file("a", "x")
	one.link("b", "a")
	one.file("only", "x")
	one.dir("kind")
	two.file("a", "x")
	two.file("b", "x")
	two.file("other", "x")
	two.file("kind", "x")
	told := strings.Join(Compare(one.freeze(), two.freeze(), All), "\n")
	for _, want := range []string{
		"/a: one inode with /a, want with /a /b", "/b: one inode with /b, want with /a /b",
		"/only: missing; want ./only type=file", "/other: too many; got ./other", "/kind: got a file, want a dir",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("told %s, want %q among it", told, want)
		}
	}
}

func TestInPiecesIsTheSameTree(t *testing.T) {
	pieces := InPieces(Odd())
	Report(t, Compare(Odd(), pieces, All))
	if err := Read(pieces); err != nil {
		t.Error(err)
	}
}

// The suite is tried on the simplest writer that passes it: a manifest with
// the contents after it.
func TestRun(t *testing.T) {
	write := func(w io.Writer, tr *tree.Tree) error {
		if err := tree.WriteManifest(w, tr); err != nil {
			return err
		}
		for n := range tr.Inodes() {
			if n.Mode().IsRegular() {
				if err := n.CopyTo(w); err != nil {
					return fmt.Errorf("a test's format: %w", err)
				}
			}
		}
		return nil
	}
	const golden = "e4edabf49c0fa653ced719ae0e231f16296288ca35797ac414e781985efa9bc8"
	Run(t, Writer{Write: write, Golden: golden})
	Run(t, Writer{WriteFile: func(f *os.File, tr *tree.Tree) error { return write(f, tr) }, Golden: golden})
}
