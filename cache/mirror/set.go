package mirror

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/samebits/samebits/lockfile"
)

// loaded is a set in memory.
type loaded struct {
	id     string
	rec    *record
	set    *Set
	byPath map[string]int32 // of all paths in set.Files

	mu      sync.Mutex
	indexes map[lockfile.Digest]int32 // those indexes that are at hand
	pinned  map[lockfile.Digest]bool  // what the set's pin names
}

func newLoaded(m *Mirror, id string, rec *record, set *Set) *loaded {
	l := &loaded{id: id, rec: rec, set: set, byPath: make(map[string]int32, 4*len(set.Files)), indexes: map[lockfile.Digest]int32{}, pinned: map[lockfile.Digest]bool{}}
	for i, f := range set.Files {
		l.byPath[f.Path] = int32(i)
		for _, o := range f.Others {
			if _, ok := l.byPath[o]; !ok {
				l.byPath[o] = int32(i)
			}
		}
		if f.Index && (m.hasIndex(f.Digest) || m.store.has(f.Digest)) {
			l.indexes[f.Digest] = int32(i)
		}
	}
	return l
}

// root file of the set at a path, or nil.
func (l *loaded) rootFile(path string) *rootFile {
	for i := range l.rec.Files {
		if l.rec.Files[i].Path == path {
			return &l.rec.Files[i]
		}
	}
	return nil
}

// file returns what the set names by a path; exact is false for paths that
// name a digest.
func (l *loaded) file(path string) (f *File, exact bool) {
	i, ok := l.byPath[path]
	if !ok {
		return nil, false
	}
	f = &l.set.Files[i]
	return f, f.Path == path
}

func (l *loaded) hasIndex(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.indexes[l.set.Files[i].Digest] = int32(i)
}

// atHand returns the indexes of packages that can be asked.
func (l *loaded) atHand() []*File {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*File, 0, len(l.indexes))
	for _, i := range l.indexes {
		out = append(out, &l.set.Files[i])
	}
	return out
}

// load reads a set that is kept. Its files were checked when they came in.
func (m *Mirror) load(ctx context.Context, up *upstream, id string) (*loaded, error) {
	if err := m.share.ensureSet(ctx, up, id); err != nil {
		return nil, fmt.Errorf("read a set of %s: %w", up.Prefix, err)
	}
	m.loadMu.Lock()
	defer m.loadMu.Unlock()
	if l, ok := m.loadedSets[id]; ok {
		return l, nil
	}
	rec, err := m.state.loadRecord(id)
	if err != nil {
		return nil, fmt.Errorf("read a set of %s: %w", up.Prefix, err)
	}
	set, err := up.Format.Read(rec.Root, func(path string) ([]byte, error) {
		for _, f := range rec.Files {
			if f.Path == path {
				return m.store.read(ctx, f.Digest, m.config.MaxRoot)
			}
		}
		return nil, os.ErrNotExist
	}, true)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s as it is kept: %w", rec.Root, up.Prefix, err)
	}
	set.Signed = rec.Signed
	l := newLoaded(m, id, rec, set)
	m.keepLoaded(l)
	return l, nil
}

// maxLoaded is how many sets are held in memory besides those in use.
const maxLoaded = 24

// keepLoaded remembers a set that was read. The caller has loadMu.
func (m *Mirror) keepLoaded(l *loaded) {
	for id := range m.loadedSets {
		if len(m.loadedSets) < maxLoaded {
			break
		}
		delete(m.loadedSets, id)
	}
	m.loadedSets[l.id] = l
}

// ensureFile sees to it that a file of a set is in the store.
func (m *Mirror) ensureFile(ctx context.Context, up *upstream, l *loaded, f *File) error {
	if m.store.has(f.Digest) {
		m.fileArrived(up, l, f)
		return nil
	}
	if m.offline.Load() {
		return errOffline
	}
	_, err := m.flyFile(up, f).wait(ctx)
	if err == nil {
		m.fileArrived(up, l, f)
	}
	return err
}

func (m *Mirror) flyFile(up *upstream, f *File) *flight {
	return m.fly(up, want{digest: f.Digest, size: f.Size}, f.Path, up.places(f.fetchPaths()...))
}

// fetchPaths are the paths to ask upstream for, in turn.
func (f *File) fetchPaths() []string {
	if f.First != "" {
		return []string{f.First, f.Path}
	}
	return []string{f.Path}
}

// fileArrived notes that a file of a set is there: an index can be asked from
// now on.
func (m *Mirror) fileArrived(up *upstream, l *loaded, f *File) {
	if !f.Index {
		return
	}
	l.mu.Lock()
	_, known := l.indexes[f.Digest]
	l.mu.Unlock()
	if known && m.hasIndex(f.Digest) && !m.isUnfed(m.indexPath(f.Digest)) {
		return
	}
	l.hasIndex(int(l.byPath[f.Path]))
	m.resolved.clear()
	m.makeIndex(up, l, f)
}
