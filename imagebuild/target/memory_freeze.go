package target

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Freeze makes a tree of the root, as [Dir.Freeze] does: a directory that has
// anything in it, or had since it was given its time, has that of the epoch.
func (m *Memory) Freeze(ctx context.Context, epoch time.Time) (*tree.Tree, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b tree.Builder
	if err := m.freeze(&b, "", m.root, tree.TimeOf(epoch), map[*tree.Inode]string{}); err != nil {
		return nil, fmt.Errorf("read the assembled root: %w", err)
	}
	return b.Freeze(ctx)
}

func (m *Memory) freeze(b *tree.Builder, name string, e *entry, epoch tree.Time, seen map[*tree.Inode]string) error {
	if e.children == nil {
		if first, ok := seen[e.inode]; ok {
			return b.Link(name, first)
		}
		seen[e.inode] = name
		return b.Add(name, *e.inode)
	}
	in := *e.inode
	if len(e.children) > 0 || e.stirred {
		in.ModTime = epoch
	}
	if err := b.Set(name, in); err != nil {
		return err
	}
	for _, base := range slices.Sorted(maps.Keys(e.children)) {
		if err := m.freeze(b, path.Join(name, base), e.children[base], epoch, seen); err != nil {
			return err
		}
	}
	return nil
}

// Close does nothing: the store is the caller's.
func (m *Memory) Close() error { return nil }
