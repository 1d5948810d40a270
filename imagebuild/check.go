package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/imagebuild/tree"
)

// A Difference is a path that two builds of one image have otherwise.
type Difference struct {
	Path string `json:"path"`
	// What differs: "only in the first", "only in the second", "type", "mode",
	// "owner", "time", "target", "device", "attributes", "content" or "links".
	What []string `json:"what"`
}

// Check builds the image a second time under other conditions and tells what
// came out otherwise. The packages come in the opposite order and one at a
// time, the root lies in a directory of another name, perhaps on another disk,
// and by the clock it is later. What the sandbox fixes (host name, time zone,
// locale, environment, number of CPUs) stays fixed, since no build ever sees
// it otherwise.
func (i *Image) Check(ctx context.Context, p Plan) (diffs []Difference, err error) {
	lock := *p.Lock
	lock.Entries = slices.Clone(lock.Entries)
	slices.Reverse(lock.Entries)
	p.Lock, p.Parallel = &lock, 1
	// A time in whole seconds that a script wrote down differs for certain.
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	again, err := Build(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("build a second time: %w", err)
	}
	defer func() { err = errors.Join(err, again.Close()) }()
	diffs = Compare(i.Tree, again.Tree)
	for n, b := range i.below {
		diffs = append(diffs, Compare(b.Tree, again.below[n].Tree)...)
	}
	slices.SortStableFunc(diffs, func(a, b Difference) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(diffs, func(a, b Difference) bool { return a.Path == b.Path }), nil
}

// Compare tells in what two trees differ, in the order of the paths.
func Compare(a, b *tree.Tree) []Difference {
	var out []Difference
	x, y := 0, 0
	for x < a.Len() || y < b.Len() {
		switch {
		case y == b.Len() || x < a.Len() && a.At(x).Path() < b.At(y).Path():
			out = append(out, Difference{a.At(x).Path(), []string{"only in the first"}})
			x++
		case x == a.Len() || a.At(x).Path() > b.At(y).Path():
			out = append(out, Difference{b.At(y).Path(), []string{"only in the second"}})
			y++
		default:
			if what := differ(a.At(x), b.At(y)); len(what) > 0 {
				out = append(out, Difference{a.At(x).Path(), what})
			}
			x++
			y++
		}
	}
	return out
}

// differ tells in what two nodes of one path differ.
func differ(m, n tree.Node) []string {
	a, b := m.Inode(), n.Inode()
	if a.Mode.Type() != b.Mode.Type() {
		return []string{"type"}
	}
	var what []string
	for _, c := range []struct {
		name string
		same bool
	}{
		{"mode", a.Mode == b.Mode},
		{"owner", a.UID == b.UID && a.GID == b.GID},
		{"time", a.ModTime == b.ModTime},
		{"target", a.Target == b.Target},
		{"device", a.Major == b.Major && a.Minor == b.Minor},
		{"attributes", slices.Equal(a.Xattrs, b.Xattrs)},
		{"content", a.Size == b.Size && a.Digest == b.Digest},
		{"links", m.First().Path() == n.First().Path()},
	} {
		if !c.same {
			what = append(what, c.name)
		}
	}
	return what
}
