package tree_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// plant makes a tree of words: "dir/", "file", "link>target", "hard=other".
func plant(t *testing.T, words ...string) *tree.Tree {
	t.Helper()
	tr, err := grow(words...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func grow(words ...string) (*tree.Tree, error) {
	var b tree.Builder
	for _, word := range words {
		var err error
		if dir, is := strings.CutSuffix(word, "/"); is {
			err = b.Add(dir, tree.Inode{Mode: tree.Directory | 0o755})
		} else if path, target, is := strings.Cut(word, ">"); is {
			err = b.Add(path, tree.Inode{Mode: tree.Symlink, Target: target})
		} else if path, target, is := strings.Cut(word, "="); is {
			err = b.Link(path, target)
		} else {
			path, content, _ := strings.Cut(word, ":")
			err = b.Add(path, treetest.File(0o644, content))
		}
		if err != nil {
			return nil, err
		}
	}
	return b.Freeze(context.Background())
}

func pathsOf(t *tree.Tree) []string {
	var paths []string
	for n := range t.All() {
		paths = append(paths, n.Path())
	}
	return paths
}

func TestOrderIsThatOfTheBytesOfThePath(t *testing.T) {
	tr := plant(t, "a/c", "a!", "a0", "a-b/", "a/", "\xff", "a-b/x", "a/b/", "a/b/c")
	want := []string{"", "a", "a!", "a-b", "a-b/x", "a/b", "a/b/c", "a/c", "a0", "\xff"}
	if got := pathsOf(tr); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for n := range tr.All() {
		if tr.At(n.Index()) != n {
			t.Errorf("%q is not at its index", n.Path())
		}
		if found, ok := tr.Lookup(n.Path()); !ok || found != n {
			t.Errorf("%q is not found", n.Path())
		}
		if n.Path() != "" && (n.Parent().Index() >= n.Index() || !n.Parent().Mode().IsDir()) {
			t.Errorf("%q comes before its parent", n.Path())
		}
	}
}

func TestChildren(t *testing.T) {
	tr := plant(t, "a/", "a/z", "a/b/", "a/b/c", "a/b-", "a-/", "b")
	for path, want := range map[string]string{"": "a a- b", "a": "b b- z", "a/b": "c", "a/z": "", "a-": ""} {
		dir, _ := tr.Lookup(path)
		var got []string
		for child := range dir.Children() {
			got = append(got, child.Name())
			if again, found := dir.Child(child.Name()); !found || again != child {
				t.Errorf("%q is not the child %q of %q", again.Path(), child.Name(), path)
			}
			if child.Parent() != dir {
				t.Errorf("%q has the parent %q", child.Path(), child.Parent().Path())
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("in %q are %q, want %q", path, got, want)
		}
	}
	if tr.Root().LinkCount() != 4 || tr.Root().Parent() != tr.Root() || tr.Root().Name() != "" {
		t.Errorf("the root has %d links", tr.Root().LinkCount())
	}
}

func TestHardLinksAreOneInode(t *testing.T) {
	tr := plant(t, "z/", "z/file:x", "a/", "a/file=z/file", "m=a/file", "other:x", "s>m", "a/s=s")
	first, _ := tr.Lookup("a/file")
	for _, path := range []string{"a/file", "m", "z/file"} {
		n, _ := tr.Lookup(path)
		if n.First() != first || n.LinkCount() != 3 || n.IsFirst() != (path == "a/file") || n.Last().Path() != "z/file" || n.InodeIndex() != first.InodeIndex() {
			t.Errorf("%q is not of the set of %q", path, first.Path())
		}
		var all []string
		for link := range n.Links() {
			all = append(all, link.Path())
		}
		if want := []string{"a/file", "m", "z/file"}; !slices.Equal(all, want) {
			t.Errorf("%q has the links %q", path, all)
		}
	}
	if s, _ := tr.Lookup("s"); s.First().Path() != "a/s" {
		t.Errorf("the symbolic link's first path is %q", s.First().Path())
	}
	other, _ := tr.Lookup("other")
	if other.LinkCount() != 1 || !other.IsFirst() || other.Last() != other || other.InodeIndex() == first.InodeIndex() {
		t.Error("a file of the same content became a hard link")
	}
	index := 0
	for n := range tr.Inodes() {
		if n.InodeIndex() != index || !n.IsFirst() {
			t.Errorf("%q has the number %d and not %d", n.Path(), n.InodeIndex(), index)
		}
		index++
	}
	if index != tr.NumInodes() || tr.Len() != index+3 {
		t.Errorf("%d inodes, %d paths, %d inodes met", tr.NumInodes(), tr.Len(), index)
	}
}

func TestNoTree(t *testing.T) {
	for _, c := range []struct{ words, complaint string }{
		{"a/b", "/a that it is in is missing"},
		{"a a/b", "/a is not a directory"},
		{"a>b a/b", "/a is not a directory"},
		{"a a", "twice"},
		{"a/ b=a", "which is a directory"},
		{"b=a", "which is not there"},
		{"a b=a b=a", "twice"},
		{"a/ a/./", "not a name"},
		{"a/ a/../", "not a name"},
		{"/a", "an empty name"},
		{"a/ a//b", "an empty name"},
		{"a\x00b", "NUL"},
		{"l>", "to nothing"},
		{"l>a\x00b", "NUL"},
		{strings.Repeat("n", 256), "a name of 256 bytes"},
		{strings.Repeat("n/", 2048) + "n", "a path of 4097 bytes"},
		{"l>" + strings.Repeat("n", 4096), "a symbolic link of 4096 bytes"},
	} {
		_, err := grow(strings.Fields(c.words)...)
		if err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%.40q: the error is %v, want one of %q", c.words, err, c.complaint)
		}
		var pathError *tree.PathError
		if !errors.As(err, &pathError) {
			t.Errorf("%.40q: the error %v tells no path", c.words, err)
		}
	}
}

func TestInodesThatAreRefused(t *testing.T) {
	x := func(name string) tree.Xattr { return tree.Xattr{Name: name} }
	for complaint, n := range map[string]tree.Inode{
		"of no type":                       {Mode: 0o644},
		"0300644 is of no type":            {Mode: 0o300644},
		"1000000000 nanoseconds":           {Mode: tree.Fifo, ModTime: tree.Time{Nsec: 1e9}},
		"fifo with device numbers":         {Mode: tree.Fifo, Minor: 1},
		"file with the target":             {Mode: tree.Regular, Target: "x"},
		"dir with a content":               {Mode: tree.Directory, Size: 1},
		"size of -2":                       {Mode: tree.Regular, Size: -2},
		"unknown size":                     {Mode: tree.Regular, Size: tree.Unknown},
		"without a content and":            {Mode: tree.Regular, Size: 1},
		"digest of another":                {Mode: tree.Regular, Digest: tree.Digest{1}},
		`"" is not the name`:               {Mode: tree.Fifo, Xattrs: []tree.Xattr{x("")}},
		`"user.a" is there twice`:          {Mode: tree.Fifo, Xattrs: []tree.Xattr{x("user.a"), x("user.b"), x("user.a")}},
		`"a\x00" is not the name`:          {Mode: tree.Fifo, Xattrs: []tree.Xattr{x("a\x00")}},
		"has 65537 bytes":                  {Mode: tree.Fifo, Xattrs: []tree.Xattr{{Name: "user.a", Value: strings.Repeat("a", 65537)}}},
		"1025 extended attributes":         {Mode: tree.Fifo, Xattrs: make([]tree.Xattr, 1025)},
		"3 bytes and not the 2 that were":  {Mode: tree.Regular, Size: 2, Content: tree.Bytes([]byte("abc"))},
		"4 bytes and not the 5 that were ": {Mode: tree.Regular, Size: 5, Content: tree.Bytes([]byte("abcd"))},
	} {
		var b tree.Builder
		err := b.Add("the/path", n)
		if err == nil {
			_, err = b.Freeze(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), complaint) || !strings.Contains(err.Error(), "/the/path") {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func TestSettledContents(t *testing.T) {
	var b tree.Builder
	for err := range slices.Values([]error{
		b.Add("known", tree.Inode{Mode: tree.Regular, Size: tree.Unknown, Content: tree.Bytes([]byte("abc"))}),
		b.Link("again", "known"),
		b.Add("empty", tree.Inode{Mode: tree.Regular}),
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known, _ := tr.Lookup("known")
	if n := known.Inode(); n.Size != 3 || n.Digest.String() != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("got %s", known.Describe())
	}
	if known.LinkCount() != 2 {
		t.Error("the hard link was lost when the content was hashed")
	}
	empty, _ := tr.Lookup("empty")
	if err := empty.CopyTo(io.Discard); err != nil {
		t.Error(err)
	}
	if n, _ := b.Lookup("known"); n.Size != tree.Unknown {
		t.Error("freezing changed the builder")
	}
	if tr.ContentSize() != 3 {
		t.Errorf("all files have %d bytes", tr.ContentSize())
	}
}

func TestFreezeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plant(t, "a:x").Edit().Freeze(ctx); err != nil {
		t.Errorf("what is known has nothing to wait for: %v", err)
	}
	var b tree.Builder
	if err := b.Add("a", treetest.File(0o644, "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Freeze(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestBuilderRemoves(t *testing.T) {
	b := plant(t, "a/", "a/b/", "a/b/c", "a-", "h=a-").Edit()
	b.Remove("a")
	b.Remove("h")
	b.Remove("not there")
	b.Remove("")
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := pathsOf(tr); !slices.Equal(got, []string{"", "a-"}) || b.Len() != 2 {
		t.Errorf("left are %q", got)
	}
	if n, _ := tr.Lookup("a-"); n.LinkCount() != 1 {
		t.Errorf("the file has %d links", n.LinkCount())
	}
}

func TestErrorsName(t *testing.T) {
	err := tree.Unsupported("cpio", "a\nb", "a file of more than 4 GiB")
	if want := `"/a\nb": cpio cannot hold a file of more than 4 GiB: unsupported operation`; err.Error() != want || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	if got := tree.Display("plain/é"); got != "/plain/é" {
		t.Errorf("got %s", got)
	}
}

func TestHundredThousandPathsAreSmall(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tr := hundredThousand(t)
	used := heap() - before
	if used > 50<<20 || tr.Len() < 100_000 {
		t.Errorf("%d paths take %d MiB", tr.Len(), used>>20)
	}
	t.Logf("%d paths take %.1f MiB", tr.Len(), float64(used)/(1<<20))
	runtime.KeepAlive(tr)
}

func hundredThousand(t testing.TB) *tree.Tree {
	var b tree.Builder
	add := func(path string, n tree.Inode) {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	add("usr", tree.Root)
	for i := range 1000 {
		dir := fmt.Sprintf("usr/directory-with-a-name-%d", i)
		add(dir, tree.Root)
		for j := range 100 {
			add(fmt.Sprintf("%s/a-file-with-an-ordinary-name.%d", dir, j), tree.Inode{
				Mode: tree.Regular | 0o644, Size: 10, Digest: tree.Digest{1}, Content: tree.Section(nil, 5, 10)})
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func BenchmarkFreeze(b *testing.B) {
	for b.Loop() {
		hundredThousand(b)
	}
}
