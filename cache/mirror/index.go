package mirror

import (
	"context"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/lockfile"
)

func (m *Mirror) indexPath(d lockfile.Digest) string { return m.state.path(indexDir, d.String()) }

func (m *Mirror) hasIndex(d lockfile.Digest) bool {
	_, err := os.Lstat(m.indexPath(d))
	return err == nil
}

// ensureIndex makes the path index of an index of packages that is in the
// store, and adds to the history what a signed one names. One is made at a
// time for each file, and two in all.
func (m *Mirror) ensureIndex(ctx context.Context, up *upstream, l *loaded, f *File) error {
	if m.hasIndex(f.Digest) {
		return nil
	}
	_, err, _ := m.indexing.Do(f.Digest.String(), func() (any, error) {
		if m.hasIndex(f.Digest) {
			return nil, nil
		}
		m.indexSlots <- struct{}{}
		defer func() { <-m.indexSlots }()
		return nil, m.makeIndex(m.ctx, up, l, f)
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func (m *Mirror) makeIndex(ctx context.Context, up *upstream, l *loaded, f *File) error {
	var records []pathRecord
	batch := make([]Seen, 0, 8000)
	first := time.Now().UTC().Truncate(time.Second)
	err := m.eachPackage(ctx, up, f, func(p Package) error {
		r, err := newPathRecord(&p)
		if err != nil {
			return err
		}
		if records = append(records, r); len(records) > maxPackages {
			return fmt.Errorf("it names more than %d files", maxPackages)
		}
		if d := m.digestBehind(r.want()); l.set.Signed && !d.IsZero() {
			s := Seen{Digest: d, Size: p.Size, Archive: l.set.Archive, Prefix: up.Prefix, Path: p.Path,
				Name: p.Name, Version: p.Version, Arch: p.Arch, First: first}
			if s.proper() {
				batch = append(batch, s)
			}
		}
		if len(batch) == cap(batch) {
			err = m.see(batch)
			batch = batch[:0]
		}
		return err
	})
	if err == nil {
		err = m.see(batch)
	}
	if err != nil {
		return fmt.Errorf("index %s: %w", f.Path, err)
	}
	return writePathIndex(m.indexPath(f.Digest), records)
}

// eachPackage reads an index of packages out of the store.
func (m *Mirror) eachPackage(ctx context.Context, up *upstream, f *File, yield func(Package) error) error {
	file, _, err := m.store.open(ctx, f.Digest)
	if err != nil {
		return err
	}
	defer file.Close()
	ending := path.Ext(f.Path)
	if f.Raw || !decompressible(ending) {
		return up.Format.Packages(*f, file, yield)
	}
	r, err := decompress.Open(ending, file)
	if err != nil {
		return err
	}
	defer r.Close()
	return up.Format.Packages(*f, r, yield)
}

func decompressible(ending string) bool {
	for _, e := range decompress.Endings {
		if e == ending && e != "" {
			return true
		}
	}
	return false
}

// see adds to the history.
func (m *Mirror) see(batch []Seen) error {
	m.historyMu.Lock()
	defer m.historyMu.Unlock()
	return m.seeLocked(batch)
}

// seeLocked is see for who has historyMu.
func (m *Mirror) seeLocked(batch []Seen) error {
	_, changed, err := m.history.add(batch)
	for _, c := range changed {
		if !m.isChange(c) {
			continue
		}
		m.count.changed.Add(1)
		m.event(event{what: "changed", prefix: c.Prefix, path: c.Path, digest: c.Digest, size: c.Size,
			note: "the archive had shown another digest for " + c.Name + " " + c.Version + " " + c.Arch})
	}
	return err
}

// lookup asks the indexes of a set for a path: first those that have been
// read, so that nobody waits for others in vain.
func (m *Mirror) lookup(ctx context.Context, up *upstream, l *loaded, path string) (w want, ok bool) {
	files := l.atHand()
	for _, ready := range []bool{true, false} {
		var later []*File
		for _, f := range files {
			if ready && !m.hasIndex(f.Digest) {
				later = append(later, f)
				continue
			}
			if w, ok := m.ask(ctx, up, l, f, path); ok {
				return w, true
			}
		}
		files = later
	}
	return want{}, false
}

func (m *Mirror) ask(ctx context.Context, up *upstream, l *loaded, f *File, path string) (want, bool) {
	if err := m.ensureIndex(ctx, up, l, f); err != nil {
		if ctx.Err() == nil {
			m.config.Log.Warn("cannot ask an index of packages", "prefix", up.Prefix, "path", f.Path, "error", err)
		}
		return want{}, false
	}
	w, ok, err := lookupPath(m.indexPath(f.Digest), path)
	if err != nil {
		m.config.Log.Warn("cannot read a path index", "prefix", up.Prefix, "path", f.Path, "error", err)
		return want{}, false
	}
	return w, ok
}
