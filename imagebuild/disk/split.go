package disk

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// split takes the contents of partitions, by their place in the list, out of a
// root, and has its etc/fstab tell where they are mounted.
func split(ctx context.Context, t *tree.Tree, list []part, s seed, time tree.Time) (root *tree.Tree, contents []*tree.Tree, err error) {
	if len(list) == 0 {
		return t, nil, nil
	}
	if root, err = withMounts(ctx, t, list, s, time); err != nil {
		return nil, nil, err
	}
	// What is within another's contents is taken out of it.
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(strings.Count(list[b].From, "/"), strings.Count(list[a].From, "/"))
	})
	contents = make([]*tree.Tree, len(list))
	for _, i := range order {
		if list[i].From == "" {
			continue
		}
		if contents[i], root, err = takeOut(root, list[i].From[1:]); err != nil {
			return nil, nil, list[i].wrap(i, err)
		}
	}
	return root, contents, checkMounts(root, contents, list)
}

// takeOut is the tree below a directory, and what is left without it.
func takeOut(t *tree.Tree, dir string) (out, rest *tree.Tree, err error) {
	n, ok := t.Lookup(dir)
	if !ok || !n.Mode().IsDir() {
		return nil, nil, fmt.Errorf("the image has no directory %s", tree.Display(dir))
	}
	for n := range t.All() {
		if n.Mode().IsDir() || n.LinkCount() == 1 || !inside(n.Path(), dir) {
			continue
		}
		for other := range n.Links() {
			if !inside(other.Path(), dir) {
				return nil, nil, fmt.Errorf("%s is a hard link to %s, which is on another partition", tree.Display(n.Path()), tree.Display(other.Path()))
			}
		}
	}
	if out, err = tree.Sub(t, dir); err != nil {
		return nil, nil, err
	}
	return out, tree.Filter(t, func(n tree.Node) bool { return !inside(n.Path(), dir) }), nil
}

func inside(p, dir string) bool {
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// checkMounts finds files that a partition would hide, which the trees still
// have at its mount point.
func checkMounts(root *tree.Tree, contents []*tree.Tree, list []part) error {
	for i, p := range list {
		if p.Mount == "" {
			continue
		}
		for j, t := range append([]*tree.Tree{root}, contents...) {
			at := p.Mount[1:]
			if j > 0 {
				from := list[j-1].From
				if from == "" || !inside(p.Mount, from) {
					continue
				}
				at = p.Mount[len(from)+1:]
			}
			if n, ok := t.Lookup(at); ok {
				for child := range n.Children() {
					return p.wrap(i, fmt.Errorf("%s would be hidden by what is mounted on %s; say from: %s, or remove it", path.Join(p.Mount, child.Name()), p.Mount, p.Mount))
				}
			}
		}
	}
	return nil
}

const fstab = "etc/fstab"

// withMounts is a tree with the mount points of partitions, and lines of
// etc/fstab for them.
func withMounts(ctx context.Context, t *tree.Tree, list []part, s seed, time tree.Time) (*tree.Tree, error) {
	b := t.Edit()
	for i, p := range list {
		if p.Mount == "" {
			continue
		}
		if err := putDirectory(b, p.Mount[1:], p.mode, time); err != nil {
			return nil, p.wrap(i, err)
		}
	}
	lines, err := fstabLines(t, list, s)
	if err != nil || lines == "" {
		return t, err
	}
	in := tree.Inode{Mode: tree.Regular | 0o644, ModTime: time}
	var text bytes.Buffer
	if n, ok := t.Lookup(fstab); ok {
		if !n.Mode().IsRegular() {
			return nil, &tree.PathError{Path: fstab, Err: fmt.Errorf("it is a %s, and no file that mount points could be added to", n.Mode().TypeName())}
		}
		in = n.Inode()
		if err := n.CopyTo(&text); err != nil {
			return nil, err
		}
		if err := unmounted(text.String(), list); err != nil {
			return nil, err
		}
		if text.Len() > 0 && !bytes.HasSuffix(text.Bytes(), []byte("\n")) {
			text.WriteByte('\n')
		}
	} else if err := putDirectory(b, "etc", 0o755, time); err != nil {
		return nil, err
	}
	text.WriteString(lines)
	in.Content, in.Size, in.Digest = tree.Bytes(text.Bytes()), int64(text.Len()), tree.Digest{}
	if err := b.Set(fstab, in); err != nil {
		return nil, err
	}
	return b.Freeze(ctx)
}

// putDirectory puts a directory and those above it where they are not.
func putDirectory(b *tree.Builder, dir string, mode tree.Mode, time tree.Time) error {
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		in, ok := b.Lookup(dir[:i])
		switch {
		case ok && !in.Mode.IsDir():
			return fmt.Errorf("%s is a %s, on or below which nothing is mounted", tree.Display(dir[:i]), in.Mode.TypeName())
		case !ok:
			bits := tree.Mode(0o755)
			if i == len(dir) {
				bits = mode
			}
			if err := b.Add(dir[:i], tree.Inode{Mode: tree.Directory | bits, ModTime: time}); err != nil {
				return err
			}
		}
	}
	return nil
}

// unmounted reports what etc/fstab mounts already.
func unmounted(text string, list []part) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") {
			continue
		}
		for i, p := range list {
			if p.Mount != "" && escape(p.Mount) == words[1] {
				return p.wrap(i, fmt.Errorf("/etc/fstab mounts %s on %s already", words[0], p.Mount))
			}
		}
	}
	return nil
}

// fstabLines are the lines of partitions, those of mount points before those
// below them.
func fstabLines(t *tree.Tree, list []part, s seed) (string, error) {
	type line struct{ mount, text string }
	var lines []line
	for i, p := range list {
		what := p.source(i, s)
		switch {
		case p.FileSystem == Swap:
			lines = append(lines, line{"", what + " none swap defaults 0 0\n"})
		case p.Mount == "":
		case p.FileSystem == EROFS, p.FileSystem == Squashfs:
			lines = append(lines, line{p.Mount, fmt.Sprintf("%s %s %s ro 0 0\n", what, escape(p.Mount), p.FileSystem)})
		default:
			pass := 0
			if hasTool(t, "fsck."+p.FileSystem) {
				pass = 2 // after the root
			}
			lines = append(lines, line{p.Mount, fmt.Sprintf("%s %s %s defaults 0 %d\n", what, escape(p.Mount), p.FileSystem, pass)})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return strings.Compare(a.mount, b.mount) })
	var all strings.Builder
	for _, l := range lines {
		all.WriteString(l.text)
	}
	return all.String(), nil
}

// source is how etc/fstab names a partition: by its file system, which busybox
// knows too, if that has an identifier.
func (p part) source(i int, s seed) string {
	switch p.FileSystem {
	case Squashfs:
		return "PARTUUID=" + string(s.guid(use(i, "")))
	case VFAT:
		n := s.serial(use(i, "file system"))
		return fmt.Sprintf("UUID=%04X-%04X", n>>16, n&0xFFFF)
	}
	return "UUID=" + string(s.guid(use(i, "file system")))
}

// use is what an identifier of a partition is derived from.
func use(i int, of string) string { return fmt.Sprintf("partition %d %s", i+1, of) }

// escape is a path as etc/fstab has it.
func escape(p string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, `\`, `\134`, "#", `\043`).Replace(p)
}
