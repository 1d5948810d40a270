package tree_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// onDisk has contents that are worth reading ahead: not in memory.
func onDisk() *tree.Tree { return treetest.InPieces(treetest.Odd()) }

func TestReadAheadGivesTheSame(t *testing.T) {
	tr := onDisk()
	all := slices.Collect(tr.Inodes())
	half := slices.DeleteFunc(slices.Clone(all), func(n tree.Node) bool { return n.Index()%2 == 0 })
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	for name, nodes := range map[string][]tree.Node{"all": all, "half of them": half, "in another order": backwards, "none": nil} {
		t.Run(name, func(t *testing.T) {
			ahead := tree.ReadAhead(t.Context(), slices.Values(nodes))
			defer ahead.Close()
			for _, n := range all {
				if !n.Mode().IsRegular() {
					continue
				}
				var got, want bytes.Buffer
				if err := errors.Join(ahead.CopyTo(n, &got), n.CopyTo(&want)); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Fatalf("%s is other bytes", n.Path())
				}
			}
		})
	}
}

func TestReadAheadEnds(t *testing.T) {
	tr := onDisk()
	ctx, cancel := context.WithCancel(t.Context())
	ahead := tree.ReadAhead(ctx, tr.Inodes())
	cancel()
	ahead.Close() // with most not asked for
	ahead = tree.ReadAhead(ctx, tr.Inodes())
	defer ahead.Close()
	for n := range tr.Inodes() {
		if n.Mode().IsRegular() {
			if err := ahead.CopyTo(n, io.Discard); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
	}
}

func TestReadAheadPassesErrorsOn(t *testing.T) {
	var b tree.Builder
	for i := range 100 {
		n := treetest.File(0o644, "x")
		n.Digest, n.Content = tree.Digest{1}, tree.Section(bytes.NewReader([]byte("x")), 0, 1)
		if err := b.Add(fmt.Sprint(i), n); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ahead := tree.ReadAhead(t.Context(), tr.Inodes())
	defer ahead.Close()
	for n := range tr.Inodes() {
		var pathError *tree.PathError
		if err := ahead.CopyTo(n, io.Discard); n.Mode().IsRegular() && (!errors.As(err, &pathError) || pathError.Path != n.Path()) {
			t.Errorf("%s: the error is %v", n.Path(), err)
		}
	}
}
