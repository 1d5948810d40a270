package fat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// holds is what FAT holds of a tree that it can hold.
const holds = treetest.All &^ treetest.RootInode

// holdable is the odd tree as FAT holds it.
func holdable(t testing.TB) *tree.Tree {
	t.Helper()
	odd := treetest.Odd()
	met := map[string]bool{}
	kept := tree.Filter(odd, func(n tree.Node) bool {
		name := n.Name()
		folded := strings.ToLower(n.Path())
		if !utf8.ValidString(name) || strings.ContainsAny(name, "\"*/:<>?\\|\n\t\x01\x7f") ||
			strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") || met[folded] {
			return false
		}
		met[folded] = true
		return n.Mode().IsDir() || n.Mode().IsRegular() && n.IsFirst()
	})
	b := kept.Edit()
	for n := range kept.All() {
		inode := n.Inode()
		inode.Xattrs, inode.UID, inode.GID = nil, 0, 0
		if inode.Mode.IsDir() {
			inode.Mode = tree.Directory | 0o755
		} else {
			inode.Mode = tree.Regular | 0o644
		}
		inode.ModTime = tree.Time{Sec: min(max(inode.ModTime.Sec, 315532800), 4354819198) &^ 1}
		if err := b.Set(n.Path(), inode); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func golden16() fat.Options {
	return fat.Options{VolumeID: 0x12345678, Label: "SAMEBITS", Free: 100_000}
}

func golden32() fat.Options {
	return fat.Options{Type: fat.FAT32, VolumeID: 0xFEDCBA98, Label: "EFI", Size: 48 << 20, Start: 1 << 20}
}

func writeTo(f *os.File, tr *tree.Tree, o fat.Options) error {
	size, err := fat.Write(context.Background(), f, tr, o)
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

func readFrom(f *os.File) (*tree.Tree, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	v, err := fat.Read(context.Background(), f, info.Size())
	if err != nil {
		return nil, err
	}
	return v.Tree, nil
}

func TestWriter(t *testing.T) {
	for name, c := range map[string]struct {
		options fat.Options
		golden  string
	}{
		"FAT16": {golden16(), "d2f15ae056ec323285cfaedfb2f811913088d3f8453a247c94ba289d0b0ae1e3"},
		"FAT32": {golden32(), "a04bce644e581b362c1273c52f68dc31708c0e92d1aa803b8c5ee6919bfbb84b"},
	} {
		t.Run(name, func(t *testing.T) {
			treetest.Run(t, treetest.Writer{
				Tree:      holdable(t),
				WriteFile: func(f *os.File, tr *tree.Tree) error { return writeTo(f, tr, c.options) },
				Golden:    c.golden,
				Read:      readFrom,
				Holds:     holds,
			})
		})
	}
}

// image writes a tree to a file.
func image(t testing.TB, tr *tree.Tree, o fat.Options) *os.File {
	return imagetest.File(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

// build is a tree of paths; those that end in a slash are directories.
func build(t testing.TB, content string, paths ...string) *tree.Tree {
	t.Helper()
	var b tree.Builder
	for _, path := range paths {
		n := treetest.File(0o644, content)
		if dir, isDir := strings.CutSuffix(path, "/"); isDir {
			path, n = dir, tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}
		}
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// one is a tree of one inode besides the root.
func one(t testing.TB, path string, n tree.Inode) *tree.Tree {
	t.Helper()
	return treetest.Of(t, map[string]tree.Inode{path: n})
}

func TestWhatFATCannotHold(t *testing.T) {
	with := func(change func(*tree.Inode)) *tree.Tree {
		n := treetest.File(0o644, "x")
		change(&n)
		return one(t, "f", n)
	}
	many := make([]string, 4000)
	for i := range many {
		many[i] = fmt.Sprintf("%s%04d", strings.Repeat("long ", 44), i)
	}
	for complaint, tr := range map[string]*tree.Tree{
		"/large: FAT cannot hold a file of 4294967301 bytes":                     treetest.Large(),
		"/socket: FAT cannot hold a socket":                                      treetest.WithSocket(),
		"/f: FAT cannot hold a link":                                             one(t, "f", tree.Inode{Mode: tree.Symlink, Target: "x", ModTime: treetest.Epoch}),
		"/f: FAT cannot hold a fifo":                                             one(t, "f", tree.Inode{Mode: tree.Fifo, ModTime: treetest.Epoch}),
		"/f: FAT cannot hold a char":                                             one(t, "f", tree.Inode{Mode: tree.CharDev, ModTime: treetest.Epoch}),
		"/f: FAT cannot hold the owner 1:0":                                      with(func(n *tree.Inode) { n.UID = 1 }),
		"/f: FAT cannot hold the owner 0:2":                                      with(func(n *tree.Inode) { n.GID = 2 }),
		"/f: FAT cannot hold the mode 0600":                                      with(func(n *tree.Inode) { n.Mode = tree.Regular | 0o600 }),
		"/d: FAT cannot hold the mode 0644":                                      one(t, "d", tree.Inode{Mode: tree.Directory | 0o644, ModTime: treetest.Epoch}),
		`/f: FAT cannot hold the extended attribute "u"`:                         with(func(n *tree.Inode) { n.Xattrs = []tree.Xattr{{Name: "u"}} }),
		"/f: FAT cannot hold the time 1979-12-31":                                with(func(n *tree.Inode) { n.ModTime.Sec = 315532799 }),
		"/f: FAT cannot hold the time 2108-01-01":                                with(func(n *tree.Inode) { n.ModTime.Sec = 4354819200 }),
		`/a:b: FAT cannot hold a name with ':' in it`:                            build(t, "", "a:b"),
		`"/a\\b": FAT cannot hold a name with '\\' in it`:                        build(t, "", `a\b`),
		`"/a\tb": FAT cannot hold a name with '\t' in it`:                        build(t, "", "a\tb"),
		`"/a\xff": FAT cannot hold a name that is not UTF-8`:                     build(t, "", "a\xff"),
		`/a.: FAT cannot hold a name that ends in '.'`:                           build(t, "", "a."),
		`/a : FAT cannot hold a name that ends in ' '`:                           build(t, "", "a "),
		`/d/readme: FAT cannot hold a name that differs from "README" in case`:   build(t, "", "d/", "d/README", "d/readme"),
		"/d/é: FAT cannot hold a name that differs from \"É\" in case only":      build(t, "", "d/", "d/É", "d/é"),
		"/d: FAT cannot hold a directory of 76002 entries; at most 65536 are po": build(t, "", append([]string{"d/"}, prefixed("d/", many)...)...),
		"/: FAT cannot hold a directory of 76000 entries; at most 65520 are pos": build(t, "", many...),
	} {
		_, err := fat.Write(t.Context(), discard{}, tr, fat.Options{})
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = prefix + name
	}
	return out
}

// discard fails a test that writes before it has looked at all.
type discard struct{}

func (discard) WriteAt([]byte, int64) (int, error) { return 0, errors.New("something was written") }

func TestOptionsLoseWhatTheySay(t *testing.T) {
	var b tree.Builder
	n := treetest.File(0o4711, "x")
	n.UID, n.Xattrs, n.ModTime = 7, []tree.Xattr{{Name: "user.a"}}, tree.Time{Sec: 5}
	for _, err := range []error{b.Add("f", n), b.Link("g", "f")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := readFrom(image(t, tr, fat.Options{DropOwners: true, DropModes: true, DropXattrs: true, DropLinks: true, ClampTimes: true}))
	if err != nil {
		t.Fatal(err)
	}
	plain := treetest.File(0o644, "x")
	plain.ModTime = tree.Time{Sec: 315532800}
	var want tree.Builder
	for _, path := range []string{"f", "g"} {
		if err := want.Add(path, plain); err != nil {
			t.Fatal(err)
		}
	}
	wanted, err := want.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(wanted, got, holds))
}

func TestWrongOptions(t *testing.T) {
	tr := build(t, "", "f")
	for complaint, o := range map[string]fat.Options{
		"no type FAT12":                      {Type: 12},
		"a size of 1000 bytes":               {Size: 1000},
		"a size of -512 bytes":               {Size: -512},
		"-1 free bytes":                      {Free: -1},
		"a size and free bytes":              {Size: 8 << 20, Free: 1},
		"clusters of 3000 bytes":             {ClusterSize: 3000},
		"clusters of 65536 bytes":            {ClusterSize: 65536},
		"a start at byte 7":                  {Start: 7},
		"has 12 bytes":                       {Label: "ABCDEFGHIJKL"},
		`has 'a' in it`:                      {Label: "a"},
		"begins or ends with a space":        {Label: " A"},
		"FAT16 has at least 4101 clusters":   {Size: 1 << 20},
		"FAT32 has at least 65541 clusters":  {Size: 20 << 20, Type: fat.FAT32},
		"FAT16 has at most 65508 clusters":   {Size: 4 << 30, Type: fat.FAT16},
		"FAT32 has at least 65541 clusters,": {Size: 1 << 30, Type: fat.FAT32, ClusterSize: 32 << 10},
	} {
		if _, err := fat.Write(t.Context(), discard{}, tr, o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error of %+v is %v, want one of %q", o, err, complaint)
		}
	}
	big := build(t, strings.Repeat("x", 1000), "a", "b", "c")
	if _, err := fat.Write(t.Context(), discard{}, build(t, string(make([]byte, 4<<20)), "f"), fat.Options{Size: 4 << 20}); err == nil || !strings.Contains(err.Error(), "make it larger") {
		t.Errorf("a tree that does not fit: %v", err)
	}
	if _, err := fat.Write(t.Context(), discard{}, big, fat.Options{Size: 4 << 20}); err == nil || !strings.Contains(err.Error(), "something was written") {
		t.Errorf("an error of the disk: %v", err)
	}
}

// Sizes and types follow from what is asked for.
func TestSizes(t *testing.T) {
	tr := build(t, "content", "f")
	for _, c := range []struct {
		o       fat.Options
		kind    fat.Type
		cluster int
		least   int64
		most    int64
	}{
		{fat.Options{}, fat.FAT16, 512, 2 << 20, 3 << 20},
		{fat.Options{Free: 60 << 20}, fat.FAT16, 1024, 60 << 20, 61 << 20},
		{fat.Options{Free: 600 << 20}, fat.FAT32, 4096, 600 << 20, 602 << 20},
		{fat.Options{Type: fat.FAT32}, fat.FAT32, 512, 32 << 20, 33 << 20},
		{fat.Options{Type: fat.FAT32, Free: 300 << 20}, fat.FAT32, 4096, 300 << 20, 302 << 20},
		{fat.Options{Type: fat.FAT32, Free: 9 << 30}, fat.FAT32, 8192, 9 << 30, 9<<30 + 20<<20},
		{fat.Options{Size: 64 << 20}, fat.FAT16, 1024, 64 << 20, 64 << 20},
		{fat.Options{Size: 512 << 20}, fat.FAT32, 4096, 512 << 20, 512 << 20},
		{fat.Options{Size: 261 << 20, Type: fat.FAT32}, fat.FAT32, 4096, 261 << 20, 261 << 20},
		{fat.Options{Size: 40 << 20, ClusterSize: 4096}, fat.FAT16, 4096, 40 << 20, 40 << 20},
		{fat.Options{Size: 40 << 30}, fat.FAT32, 32 << 10, 40 << 30, 40 << 30},
	} {
		f := image(t, tr, c.o)
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		v, err := fat.Read(t.Context(), f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		if v.Type != c.kind || v.ClusterSize != c.cluster || v.Size < c.least || v.Size > c.most {
			t.Errorf("%+v: %v with clusters of %d bytes, %d bytes; want %v, %d, %d to %d", c.o, v.Type, v.ClusterSize, v.Size, c.kind, c.cluster, c.least, c.most)
		}
	}
}

// The least size is enough, and one cluster less is not.
func TestLeastSize(t *testing.T) {
	tr := build(t, string(treetest.Random(1, 5<<20)), "a", "b")
	f := image(t, tr, fat.Options{Free: 1, ClusterSize: 512})
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeTo(f, tr, fat.Options{Size: info.Size()}); err != nil {
		t.Error(err)
	}
	if _, err := fat.Write(t.Context(), discard{}, tr, fat.Options{Size: info.Size() - 1024, ClusterSize: 512}); err == nil || !strings.Contains(err.Error(), "make it larger") {
		t.Errorf("two clusters less: %v", err)
	}
}

// What is zero is not written.
func TestHolesCostNothing(t *testing.T) {
	tr := one(t, "f", treetest.Holes(300<<20, []tree.Extent{{Offset: 200 << 20, Length: 5000}}))
	w := &counting{}
	if _, err := fat.Write(t.Context(), w, tr, fat.Options{Size: 20 << 30}); err != nil {
		t.Fatal(err)
	}
	if w.n > 1<<20 {
		t.Errorf("%d bytes were written for 5000", w.n)
	}
}

type counting struct{ n int }

func (c *counting) WriteAt(p []byte, _ int64) (int, error) { c.n += len(p); return len(p), nil }

func TestContextEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fat.Write(ctx, &counting{}, build(t, "", "f"), fat.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestDiskErrorsArePassedOn(t *testing.T) {
	tr := build(t, string(treetest.Random(1, 3<<20)), "a", "d/", "d/b")
	for _, o := range []fat.Options{{}, {Type: fat.FAT32}} {
		var all positions
		if _, err := fat.Write(t.Context(), &all, tr, o); err != nil {
			t.Fatal(err)
		}
		for i := range all.at {
			w := &positions{fail: i + 1}
			if _, err := fat.Write(t.Context(), w, tr, o); !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("the write at %d failed, and the error is %v", all.at[i], err)
			}
		}
		if !slices.Contains(all.at, 0) || len(all.at) < 5 {
			t.Errorf("writes at %d", all.at)
		}
	}
}

type positions struct {
	at   []int64
	fail int
}

func (p *positions) WriteAt(b []byte, at int64) (int, error) {
	p.at = append(p.at, at)
	if len(p.at) == p.fail {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}
