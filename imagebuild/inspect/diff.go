package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// holds is what a format can hold, and so what is compared.
type holds uint

const (
	holdsMode holds = 1 << iota
	holdsOwner
	holdsTime
	holdsXattrs
	holdsLinks
	holdsContent
	holdsRoot // and not only what is in the root directory

	holdsAll = 1<<iota - 1
)

// Difference is a path that two trees have otherwise.
type Difference struct {
	Path string
	// Changes are of the attributes that differ. Where only one of the trees has
	// the path, there is one of the attribute "path".
	Changes []Change
}

// Change is an attribute and its values in the first and the second tree, as the
// manifest of a tree writes them; "" where there is none.
type Change struct{ Attribute, Old, New string }

// Comparison is what two parts were compared in.
type Comparison struct {
	Differences []Difference
	// Left are the attributes that were left out, since one of the formats has no
	// place for them.
	Left []string
}

// heldNames are words for what a format may not hold.
var heldNames = []struct {
	bit  holds
	name string
}{{holdsMode, "mode"}, {holdsOwner, "owner"}, {holdsTime, "time"}, {holdsXattrs, "xattrs"}, {holdsLinks, "links"}}

// Diff compares the trees of two parts, which must have been read, in what both
// formats can hold. Times are compared as exactly as the less exact of the two has
// them: in whole seconds where all of one tree are, in two of them with FAT.
func Diff(a, b *Part) *Comparison {
	c := comparer{mask: a.holds & b.holds, unit: max(unitOf(a), unitOf(b))}
	out := &Comparison{}
	for _, h := range heldNames {
		if (a.holds^b.holds)&h.bit != 0 {
			out.Left = append(out.Left, h.name)
		}
	}
	x, y := 0, 0
	s, t := a.tree, b.tree
	for x < s.Len() || y < t.Len() {
		switch {
		case y == t.Len() || x < s.Len() && s.At(x).Path() < t.At(y).Path():
			n := s.At(x)
			out.Differences = append(out.Differences, Difference{n.Path(), []Change{{"path", n.Mode().TypeName(), ""}}})
			x++
		case x == s.Len() || s.At(x).Path() > t.At(y).Path():
			n := t.At(y)
			out.Differences = append(out.Differences, Difference{n.Path(), []Change{{"path", "", n.Mode().TypeName()}}})
			y++
		default:
			if changes := c.changes(s.At(x), t.At(y)); len(changes) > 0 {
				out.Differences = append(out.Differences, Difference{s.At(x).Path(), changes})
			}
			x++
			y++
		}
	}
	return out
}

// unitOf is how exact the times of a part are, in nanoseconds.
func unitOf(p *Part) int64 {
	if strings.HasPrefix(p.Format, "fat") {
		return 2e9
	}
	for n := range p.tree.Inodes() {
		if n.Inode().ModTime.Nsec != 0 {
			return 1
		}
	}
	return 1e9
}

type comparer struct {
	mask holds
	unit int64
}

func (c *comparer) changes(m, n tree.Node) (list []Change) {
	a, b := m.Inode(), n.Inode()
	differ := func(what holds, name, x, y string) {
		if (what == 0 || c.mask&what != 0) && x != y {
			list = append(list, Change{name, x, y})
		}
	}
	differ(0, "type", a.Mode.TypeName(), b.Mode.TypeName())
	if len(list) > 0 {
		return list
	}
	if m.Path() == "" && c.mask&holdsRoot == 0 {
		return nil
	}
	differ(holdsMode, "mode", fmt.Sprintf("%04o", uint32(a.Mode.Bits())), fmt.Sprintf("%04o", uint32(b.Mode.Bits())))
	differ(holdsOwner, "uid", fmt.Sprint(a.UID), fmt.Sprint(b.UID))
	differ(holdsOwner, "gid", fmt.Sprint(a.GID), fmt.Sprint(b.GID))
	differ(holdsTime, "time", c.time(a.ModTime), c.time(b.ModTime))
	differ(0, "link", a.Target, b.Target)
	differ(0, "device", device(a), device(b))
	differ(holdsContent, "size", size(a), size(b))
	differ(holdsContent, "sha256", sum(a), sum(b))
	differ(holdsLinks, "hard link to", first(m), first(n))
	if c.mask&holdsXattrs != 0 {
		list = append(list, xattrs(a, b)...)
	}
	return list
}

func (c *comparer) time(t tree.Time) string {
	switch c.unit {
	case 1:
		return fmt.Sprintf("%d.%09d", t.Sec, t.Nsec)
	case 1e9:
		return fmt.Sprint(t.Sec)
	}
	return fmt.Sprint(t.Sec &^ 1)
}

func device(n tree.Inode) string {
	if !n.Mode.IsDevice() {
		return ""
	}
	return fmt.Sprintf("%d,%d", n.Major, n.Minor)
}

func size(n tree.Inode) string {
	if !n.Mode.IsRegular() {
		return ""
	}
	return fmt.Sprint(n.Size)
}

func sum(n tree.Inode) string {
	if !n.Mode.IsRegular() {
		return ""
	}
	return n.Digest.String()
}

// first is the path that a node is a hard link to, "" for the first of all.
func first(n tree.Node) string {
	if n.IsFirst() {
		return ""
	}
	return n.First().Path()
}

// xattrs are the extended attributes that differ, by their names.
func xattrs(a, b tree.Inode) (list []Change) {
	names := map[string]bool{}
	for _, x := range slices.Concat(a.Xattrs, b.Xattrs) {
		names[x.Name] = true
	}
	value := func(n tree.Inode, name string) string {
		v, found := n.Xattr(name)
		if !found {
			return ""
		}
		return fmt.Sprintf("%q", v)
	}
	for name := range names {
		if x, y := value(a, name), value(b, name); x != y {
			list = append(list, Change{name, x, y})
		}
	}
	slices.SortFunc(list, func(x, y Change) int { return strings.Compare(x.Attribute, y.Attribute) })
	return list
}
