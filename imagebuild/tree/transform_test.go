package tree_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// words is a tree as plant would make it.
func words(t *tree.Tree) string {
	var all []string
	for n := range t.All() {
		inode := n.Inode()
		switch {
		case n.Path() == "":
		case inode.Mode.IsDir():
			all = append(all, n.Path()+"/")
		case !n.IsFirst():
			all = append(all, n.Path()+"="+n.First().Path())
		case inode.Target != "":
			all = append(all, n.Path()+">"+inode.Target)
		default:
			var b strings.Builder
			if err := n.CopyTo(&b); err != nil {
				return err.Error()
			}
			all = append(all, n.Path()+":"+b.String())
		}
	}
	return strings.Join(all, " ")
}

func TestOverlay(t *testing.T) {
	for _, c := range []struct{ name, base, upper, want string }{
		{"apart", "a:1", "b:2", "a:1 b:2"},
		{"a file over a file", "a:1 b:1", "a:2", "a:2 b:1"},
		{"directories merge", "d/ d/a:1 d/b:1", "d/ d/b:2 d/c:2", "d/ d/a:1 d/b:2 d/c:2"},
		{"a file over a directory", "d/ d/a:1 d/e/ d/e/f:1 d-:1", "d:2", "d:2 d-:1"},
		{"a directory over a file", "d:1", "d/ d/a:2", "d/ d/a:2"},
		{"a link over a directory", "d/ d/a:1 e/", "d>e", "d>e e/"},
		{"a hard link loses its first path", "a:1 b=a c=a", "a:2", "a:2 b:1 c=b"},
		{"a hard link becomes a file", "a:1 b=a", "b:2", "a:1 b:2"},
		{"hard links of both", "a:1 b=a", "c:2 d=c", "a:1 b=a c:2 d=c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, upper := plant(t, strings.Fields(c.base)...), plant(t, strings.Fields(c.upper)...)
			before := base.Digest()
			got, err := tree.Overlay(t.Context(), base, upper)
			if err != nil {
				t.Fatal(err)
			}
			if words(got) != c.want {
				t.Errorf("got %s, want %s", words(got), c.want)
			}
			if base.Digest() != before {
				t.Error("the base changed")
			}
		})
	}
}

func TestOverlayTakesDirectoriesOfUpper(t *testing.T) {
	base := plant(t, "d/")
	b := base.Edit()
	if err := b.Set("d", tree.Inode{Mode: tree.Directory | 0o700, UID: 5}); err != nil {
		t.Fatal(err)
	}
	upper, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.Overlay(t.Context(), base, upper)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(upper, got, treetest.All))
}

func TestFilter(t *testing.T) {
	tr := plant(t, "a/", "a/b:1", "a-:1", "c/", "c/d/", "c/d/e:1", "h=a/b")
	var asked []string
	got := tree.Filter(tr, func(n tree.Node) bool {
		asked = append(asked, n.Path())
		return n.Path() != "a" && n.Path() != "c/d"
	})
	if want := "a-:1 c/ h:1"; words(got) != want {
		t.Errorf("got %s, want %s", words(got), want)
	}
	if want := []string{"a", "a-", "c", "c/d", "h"}; !slices.Equal(asked, want) {
		t.Errorf("asked about %q, want %q", asked, want)
	}
}

func TestMap(t *testing.T) {
	tr := plant(t, "a:old", "b=a", "c:keep", "l>a")
	calls := 0
	got, err := tree.Map(t.Context(), tr, func(n tree.Node, inode tree.Inode) (tree.Inode, error) {
		calls++
		inode.UID = 7
		if n.Path() == "a" {
			inode.Content, inode.Size, inode.Digest = tree.Bytes([]byte("newer")), tree.Unknown, tree.Digest{}
		}
		return inode, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "a:newer b=a c:keep l>a"; words(got) != want {
		t.Errorf("got %s, want %s", words(got), want)
	}
	if calls != tr.NumInodes() {
		t.Errorf("called %d times for %d inodes", calls, tr.NumInodes())
	}
	for n := range got.All() {
		if n.Inode().UID != 7 {
			t.Errorf("%q was not changed", n.Path())
		}
	}
	if words(tr) != "a:old b=a c:keep l>a" || tr.Root().Inode().UID != 0 {
		t.Error("the first tree changed")
	}
}

func TestMapFails(t *testing.T) {
	tr := plant(t, "a:1")
	bad := errors.New("bad")
	for complaint, change := range map[string]func(*tree.Inode) error{
		"/a: bad":                        func(*tree.Inode) error { return bad },
		"/a: a change from file to fifo": func(n *tree.Inode) error { *n = tree.Inode{Mode: tree.Fifo}; return nil },
		"/a: a time with":                func(n *tree.Inode) error { n.ModTime.Nsec = 1 << 31; return nil },
	} {
		_, err := tree.Map(t.Context(), tr, func(n tree.Node, inode tree.Inode) (tree.Inode, error) {
			if n.Path() == "" {
				return inode, nil
			}
			return inode, change(&inode)
		})
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func TestSub(t *testing.T) {
	tr := plant(t, "a/", "a/b/", "a/b/c:1", "a/b-:1", "a/b0:1", "a/b/d=a/b/c", "x=a/b/c")
	got, err := tree.Sub(tr, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if want := "c:1 d=c"; words(got) != want {
		t.Errorf("got %s, want %s", words(got), want)
	}
	if all, err := tree.Sub(tr, ""); err != nil || all != tr {
		t.Errorf("the whole is %v, %v", all, err)
	}
	for path, complaint := range map[string]string{"a/b0": "not a directory", "n": "not in the tree"} {
		if _, err := tree.Sub(tr, path); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}
