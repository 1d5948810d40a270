package fat

import (
	"fmt"
	"math"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	entrySize  = 32
	maxDirSize = 2 << 20 // 65536 entries
)

// run is the clusters of a file or directory, one after the other.
type run struct{ first, count uint32 }

// layout is which clusters what has.
type layout struct {
	geometry
	runs []run // by Node.Index
	used int64 // clusters
	// bytes of each node, until the clusters' size is known
	sizes []int64
}

// newLayout checks the whole tree before a byte is written.
func newLayout(t *tree.Tree, o Options) (*layout, error) {
	l := &layout{sizes: make([]int64, t.Len()), runs: make([]run, t.Len())}
	for n := range t.All() {
		if err := l.measure(n, o); err != nil {
			return nil, err
		}
	}
	g, err := plan(o, l.sizes[0]/entrySize, l.need)
	if err != nil {
		return nil, err
	}
	l.geometry = *g
	next := int64(2)
	for i := range l.runs {
		if count := l.count(i, g.cluster, g.fat); count > 0 {
			l.runs[i] = run{uint32(next), uint32(count)}
			next += count
		}
	}
	l.used = next - 2
	return l, nil
}

func (l *layout) measure(n tree.Node, o Options) error {
	if err := check(n, o); err != nil {
		return err
	}
	if !n.Mode().IsDir() {
		l.sizes[n.Index()] = n.Inode().Size
		return nil
	}
	entries, err := countEntries(n)
	if err != nil {
		return err
	}
	if n.Path() != "" {
		entries += 2 // . and ..
	} else if o.Label != "" {
		entries++
	}
	most := int64(maxDirSize / entrySize)
	if n.Path() == "" && o.Type != FAT32 {
		most = maxRootEntries
	}
	if entries > most {
		return unsupported(n, fmt.Sprintf("a directory of %d entries; at most %d are possible", entries, most))
	}
	l.sizes[n.Index()] = entries * entrySize
	return nil
}

// count is the number of clusters that a node takes.
func (l *layout) count(index int, cluster int64, fat Type) int64 {
	if index == 0 {
		if fat == FAT16 {
			return 0
		}
		return max(1, blocks(l.sizes[0], cluster)) // a directory is never empty
	}
	return blocks(l.sizes[index], cluster)
}

// need is the number of clusters of all.
func (l *layout) need(cluster int64, fat Type) (sum int64) {
	for i := range l.sizes {
		sum += l.count(i, cluster, fat)
	}
	return sum
}

// check reports what FAT cannot hold of a node, but for its name. The root has
// no entry, and is whatever it is mounted as.
func check(n tree.Node, o Options) error {
	inode := n.Inode()
	mode := inode.Mode
	if n.Path() == "" {
		return nil
	}
	switch {
	case !mode.IsDir() && !mode.IsRegular():
		return unsupported(n, "a "+mode.TypeName())
	case inode.Size > math.MaxUint32:
		return unsupported(n, fmt.Sprintf("a file of %d bytes; it must be less than 4 GiB", inode.Size))
	case (inode.UID != 0 || inode.GID != 0) && !o.DropOwners:
		return unsupported(n, fmt.Sprintf("the owner %d:%d", inode.UID, inode.GID))
	case mode.Bits() != 0o755 && (mode.IsDir() || mode.Bits() != 0o644) && !o.DropModes:
		return unsupported(n, fmt.Sprintf("the mode %04o", uint32(mode.Bits())))
	case len(inode.Xattrs) > 0 && !o.DropXattrs:
		return unsupported(n, fmt.Sprintf("the extended attribute %q", inode.Xattrs[0].Name))
	case !mode.IsDir() && n.LinkCount() > 1 && !o.DropLinks:
		return unsupported(n, "hard links")
	case clamp(inode.ModTime) != inode.ModTime && !o.ClampTimes:
		return unsupported(n, "the time "+inode.ModTime.Time().String()+"; it must be from 1980 to 2107")
	}
	return nil
}
