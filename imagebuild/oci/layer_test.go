package oci_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// plant makes a tree of words: "dir/", "file:content", "hard=other", "!" for a
// device 0,0.
func plant(t *testing.T, words string) *tree.Tree {
	t.Helper()
	var b tree.Builder
	for _, word := range strings.Fields(words) {
		var err error
		if path, target, is := strings.Cut(word, "="); is {
			err = b.Link(path, target)
		} else if path, is := strings.CutSuffix(word, "/"); is {
			err = b.Add(path, tree.Root)
		} else if path, is := strings.CutSuffix(word, "!"); is {
			err = b.Add(path, tree.Inode{Mode: tree.CharDev})
		} else {
			path, content, _ := strings.Cut(word, ":")
			err = b.Add(path, treetest.File(0o644, content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func paths(t *tree.Tree) string {
	var all []string
	for n := range t.All() {
		if n.Path() != "" {
			all = append(all, n.Path())
		}
	}
	return strings.Join(all, " ")
}

func TestDiffThenApply(t *testing.T) {
	for _, c := range []struct{ name, base, top, layer string }{
		{"nothing", "a:1 d/ d/b:1", "a:1 d/ d/b:1", ""},
		{"new", "a:1 d/", "a:1 d/ d/e/ d/e/f:1", "d d/e d/e/f"},
		{"changed", "a:1 b:1", "a:2 b:1", "a"},
		{"gone", "a:1 d/ d/b:1 d/c:1", "d/ d/c:1", ".wh.a d d/.wh.b"},
		{"a directory is gone", "d/ d/e/ d/e/f:1 x:1", "x:1", ".wh.d"},
		{"a directory became a file", "d/ d/e/ d/e/f:1", "d:1", "d"},
		{"a file became a directory", "d:1", "d/ d/e:1", "d d/e"},
		{"a hard link more", "a:1 z:1", "a:1 b=a z:1", "a b"},
		{"a hard link less", "a:1 b=a c=b", "a:1 c=a", ".wh.b a c"},
		{"a hard link became a copy", "a:1 b=a", "a:1 b:1", "a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, top := plant(t, c.base), plant(t, c.top)
			layer, err := oci.Diff(t.Context(), base, top)
			if err != nil {
				t.Fatal(err)
			}
			if paths(layer) != c.layer {
				t.Errorf("the layer has %q, want %q", paths(layer), c.layer)
			}
			got, err := oci.Apply(t.Context(), base, layer)
			if err != nil {
				t.Fatal(err)
			}
			treetest.Report(t, treetest.Compare(top, got, treetest.All))
		})
	}
}

func TestDiffOfTheOddTreeGoesThroughAnImage(t *testing.T) {
	base := tree.Filter(treetest.Odd(), func(n tree.Node) bool { return !strings.HasPrefix(n.Path(), "links/a") && n.Path() != "times" })
	extra, err := tree.Overlay(t.Context(), base, plant(t, "gone/ gone/file:1 names/ names/gone:1"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := oci.Diff(t.Context(), extra, treetest.Odd())
	if err != nil {
		t.Fatal(err)
	}
	path, _ := write(t, []oci.Image{amd64(extra, top)}, oci.Options{Compression: compress.Zstd})
	_, got, err := oci.Read(t.Context(), path, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Odd(), got, treetest.All&^treetest.Nanoseconds))
}

func TestApplyWhiteouts(t *testing.T) {
	base := plant(t, "a:1 d/ d/b:1 d/c/ d/c/e:1 x/ x/y:1")
	for layer, want := range map[string]string{
		".wh.a":                    "d d/b d/c d/c/e x x/y",
		".wh.d x/ x/.wh.y":         "a x",
		"d/ d/.wh..wh..opq d/new:": "a d d/new x x/y",
		".wh.d d/ d/f:":            "a d d/f x x/y",
		".wh.nothing":              "a d d/b d/c d/c/e x x/y",
	} {
		got, err := oci.Apply(t.Context(), base, plant(t, layer))
		if err != nil {
			t.Fatal(err)
		}
		if paths(got) != want {
			t.Errorf("%s: got %q, want %q", layer, paths(got), want)
		}
	}
	for _, bad := range []string{".wh.", ".wh..", ".wh..."} {
		if _, err := oci.Apply(t.Context(), base, plant(t, bad)); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

func TestFromOverlay(t *testing.T) {
	b := plant(t, "d/ d/gone! new:1 e/ e/f:1").Edit()
	if err := b.Set("e", tree.Inode{Mode: tree.Directory | 0o755, Xattrs: []tree.Xattr{{Name: "trusted.overlay.opaque", Value: "y"}}}); err != nil {
		t.Fatal(err)
	}
	upper, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	layer, err := oci.FromOverlay(t.Context(), upper)
	if err != nil {
		t.Fatal(err)
	}
	if want := "d d/.wh.gone e e/.wh..wh..opq e/f new"; paths(layer) != want {
		t.Errorf("got %q, want %q", paths(layer), want)
	}
}

func TestSplit(t *testing.T) {
	groups := []string{"base", "many", "rest"}
	layers, err := oci.Split(t.Context(), treetest.Odd(), groups, func(n tree.Node) string {
		switch first, _, _ := strings.Cut(n.Path(), "/"); first {
		case "many":
			return "many"
		case "dev", "order":
			return "base"
		}
		return "rest"
	})
	if err != nil {
		t.Fatal(err)
	}
	image := amd64()
	image.Layers = layers
	path, _ := write(t, []oci.Image{image}, oci.Options{Compression: compress.Gzip})
	_, got, err := oci.Read(t.Context(), path, oci.ReadOptions{Archive: archive, Store: &tree.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Odd(), got, treetest.All&^treetest.Nanoseconds))
	if got := layers[1].Tree.Len(); got != 6002 || layers[1].CreatedBy != "many" {
		t.Errorf("the layer of many has %d paths", got)
	}
	if !slices.ContainsFunc(slices.Collect(layers[0].Tree.All()), func(n tree.Node) bool { return n.Path() == "order/a/c" }) {
		t.Error("the first layer lacks order/a/c")
	}
	_, err = oci.Split(t.Context(), treetest.Odd(), groups, func(tree.Node) string { return "elsewhere" })
	if err == nil || !strings.Contains(err.Error(), `"elsewhere", which is none of`) {
		t.Errorf("the error is %v", err)
	}
}
