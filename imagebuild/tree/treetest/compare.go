package treetest

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Mask is the attributes that a format can hold, and so those to compare. Paths,
// types and link targets always are.
type Mask uint

// The attributes of a [Mask].
const (
	Permissions Mask = 1 << iota // the 12 bits
	Owner                        // uid and gid
	Seconds                      // times of modification, rounded down to seconds
	Nanoseconds                  // their nanoseconds
	Devices                      // device numbers
	Xattrs                       // extended attributes
	Links                        // which paths are one inode
	Content                      // sizes and digests
	RootInode                    // the attributes of the root directory
	DirTimes                     // times of directories, where times are held
	LinkTimes                    // times of symbolic links, where times are held

	// All is everything.
	All Mask = 1<<iota - 1
)

// Compare tells each difference between two trees in the attributes of the
// mask, a sentence each, in the order of the paths. Digests are compared and
// no contents read: [Read] does that.
func Compare(want, got *tree.Tree, mask Mask) []string {
	var differences []string
	tell := func(path, format string, args ...any) {
		differences = append(differences, tree.Display(path)+": "+fmt.Sprintf(format, args...))
	}
	for w := range want.All() {
		g, found := got.Lookup(w.Path())
		if !found {
			tell(w.Path(), "missing; want %s", w.Describe())
			continue
		}
		compareNodes(w, g, mask, func(format string, args ...any) { tell(w.Path(), format, args...) })
	}
	for g := range got.All() {
		if _, found := want.Lookup(g.Path()); !found {
			tell(g.Path(), "too many; got %s", g.Describe())
		}
	}
	slices.Sort(differences)
	return differences
}

func compareNodes(w, g tree.Node, mask Mask, tell func(string, ...any)) {
	a, b := w.Inode(), g.Inode()
	if a.Mode.Type() != b.Mode.Type() {
		tell("got a %s, want a %s", b.Mode.TypeName(), a.Mode.TypeName())
		return
	}
	if w.Path() == "" && mask&RootInode == 0 {
		return
	}
	if a.Target != b.Target {
		tell("leads to %q, want %q", b.Target, a.Target)
	}
	if mask&Permissions != 0 && a.Mode != b.Mode {
		tell("mode %04o, want %04o", uint32(b.Mode.Bits()), uint32(a.Mode.Bits()))
	}
	if mask&Owner != 0 && (a.UID != b.UID || a.GID != b.GID) {
		tell("owner %d:%d, want %d:%d", b.UID, b.GID, a.UID, a.GID)
	}
	if timed(a.Mode, mask) {
		if s, t := rounded(a.ModTime, mask), rounded(b.ModTime, mask); s != t {
			tell("time %d.%09d, want %d.%09d", t.Sec, t.Nsec, s.Sec, s.Nsec)
		}
	}
	if mask&Devices != 0 && (a.Major != b.Major || a.Minor != b.Minor) {
		tell("device %d,%d, want %d,%d", b.Major, b.Minor, a.Major, a.Minor)
	}
	if mask&Xattrs != 0 && !slices.Equal(a.Xattrs, b.Xattrs) {
		tell("%s", compareXattrs(a.Xattrs, b.Xattrs))
	}
	if mask&Links != 0 {
		if s, t := paths(w), paths(g); s != t {
			tell("one inode with %s, want with %s", t, s)
		}
	}
	if mask&Content != 0 {
		if a.Size != b.Size {
			tell("%d bytes, want %d", b.Size, a.Size)
		} else if a.Digest != b.Digest {
			tell("SHA-256 %s, want %s", b.Digest, a.Digest)
		}
	}
}

// timed reports whether an inode's time is compared.
func timed(mode tree.Mode, mask Mask) bool {
	switch {
	case mode.IsDir():
		return mask&Seconds != 0 && mask&DirTimes != 0
	case mode.Type() == tree.Symlink:
		return mask&Seconds != 0 && mask&LinkTimes != 0
	}
	return mask&Seconds != 0
}

func rounded(t tree.Time, mask Mask) tree.Time {
	if mask&Nanoseconds == 0 {
		t.Nsec = 0
	}
	return t
}

func paths(n tree.Node) string {
	var all []string
	for link := range n.Links() {
		all = append(all, tree.Display(link.Path()))
	}
	return strings.Join(all, " ")
}

func compareXattrs(want, got []tree.Xattr) string {
	index := func(list []tree.Xattr) map[string]string {
		m := map[string]string{}
		for _, x := range list {
			m[x.Name] = x.Value
		}
		return m
	}
	w, g := index(want), index(got)
	var told []string
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if value, found := g[name]; !found {
			told = append(told, fmt.Sprintf("%q is missing", name))
		} else if value != w[name] {
			told = append(told, fmt.Sprintf("%q is %.80q, want %.80q", name, value, w[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if _, found := w[name]; !found {
			told = append(told, fmt.Sprintf("%q is too many", name))
		}
	}
	return "extended attributes: " + strings.Join(told, ", ")
}

// Read reads every content of a tree, and returns the first error: one of a
// content that is not as its size and digest say.
func Read(t *tree.Tree) error {
	for n := range t.Inodes() {
		if n.Mode().IsRegular() {
			if err := n.CopyTo(io.Discard); err != nil {
				return err
			}
		}
	}
	return nil
}
