package mirror

import (
	"context"
	"io"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// maxBeside bounds the small files that a Checker may ask for, in bytes.
const maxBeside = 1 << 20

// check has the format look into a file that came whole, if it does that. An
// error is an *identityError.
func (f *flight) check(m *Mirror, size int64) (Package, error) {
	checker, ok := f.up.Format.(Checker)
	if !ok || !checker.Checks(f.path) {
		return Package{}, nil
	}
	p := Package{Path: f.path, Size: f.want.size, Digest: f.want.digest}
	if p.Digest.IsZero() {
		p.Identity = f.want.identity[:]
	}
	p.Signed = m.signed(f.up, f.path, f.want)
	p, err := checker.Check(p, m.beside(f.up), io.NewSectionReader(f.view().file, 0, size))
	if err != nil {
		return p, &identityError{err}
	}
	return p, nil
}

// beside returns small files of an archive, as clients would get them.
func (m *Mirror) beside(up *upstream) Getter {
	return func(path string) ([]byte, error) {
		t, err := m.resolve(m.ctx, "", up, path)
		if err != nil {
			return nil, err
		}
		d, _, err := m.obtain(m.ctx, t)
		if err != nil {
			return nil, err
		}
		return m.store.read(m.ctx, d, maxBeside)
	}
}

// signed reports whether a signed index names a file: that of a current set,
// or one that the history is of.
func (m *Mirror) signed(up *upstream, path string, w want) bool {
	if l := m.naming(up, path, w); l != nil {
		return l.set.Signed
	}
	if w.digest.IsZero() {
		return false
	}
	_, ok := m.history.digest(w.digest)
	return ok
}

// naming returns a set that names a file by a path, a signed one if there is
// one, or nil. Current sets come before earlier ones.
func (m *Mirror) naming(up *upstream, path string, w want) (found *loaded) {
	names := func(l *loaded) bool {
		got, ok := m.lookup(m.ctx, up, path, l)
		return ok && got.digest == w.digest && got.identity == w.identity
	}
	for _, r := range up.known(nil) {
		if l := r.peek(); l != nil && (found == nil || l.set.Signed) && names(l) {
			if found = l; l.set.Signed {
				return l
			}
		}
	}
	if found != nil {
		return found
	}
	roots, _ := up.Format.Roots(path)
	for _, r := range up.known(append([]string{}, roots...)) {
		for _, old := range firstN(r.oldSets(), 8) {
			if l, err := m.load(m.ctx, up, old.ID); err == nil && names(l) {
				return l
			}
		}
	}
	return nil
}

// learn adds a package to the history of which the index did not tell enough
// for that: its digest was not known, or it is signed itself.
func (f *flight) learn(m *Mirror, p Package, size int64) {
	if !p.Signed || p.Name == "" {
		return
	}
	l, d := m.naming(f.up, f.path, f.want), m.digestBehind(f.want)
	if l == nil || d.IsZero() {
		return
	}
	s := Seen{Digest: d, Size: size, Archive: l.set.Archive, Prefix: f.up.Prefix, Path: f.path,
		Name: p.Name, Version: p.Version, Arch: p.Arch, First: time.Now().UTC().Truncate(time.Second)}
	if !s.proper() {
		return
	}
	if err := m.see([]Seen{s}); err != nil {
		m.config.Log.Error("cannot write the history", "prefix", s.Prefix, "path", s.Path, "error", err)
	}
}

// looksInto reports whether the archives at a prefix have a Checker. Branches
// of these may each have their own build of a version, and the same path tells
// a build better.
func (m *Mirror) looksInto(prefix string) bool {
	up := m.byPrefix[prefix]
	if up == nil {
		return false
	}
	_, ok := up.Format.(Checker)
	return ok
}

// digestBehind returns the digest that a file must have, zero where that is
// not known yet.
func (m *Mirror) digestBehind(w want) lockfile.Digest {
	if !w.digest.IsZero() {
		return w.digest
	}
	d, _ := m.identities.get(w.identity)
	return d
}

// repinFrozen takes into the pins of frozen sets what has been fetched since by
// an identity: its digest was not known when they were made.
func (m *Mirror) repinFrozen(ctx context.Context) error {
	m.identities.mu.Lock()
	n, pinned := len(m.identities.known), m.identities.pinned
	m.identities.mu.Unlock()
	if n == pinned {
		return nil
	}
	done := map[string]bool{}
	for _, name := range m.snapshots.list() {
		snap, err := m.snapshots.at(name)
		if err != nil {
			return err
		}
		for _, s := range snap.Sets {
			up := m.byPrefix[s.Prefix]
			if up == nil || done[s.ID] {
				continue
			}
			done[s.ID] = true
			if _, ok := up.Format.(Checker); !ok {
				continue
			}
			l, err := m.load(ctx, up, s.ID)
			if err == nil {
				err = m.pinFrozen(ctx, up, l)
			}
			if err != nil {
				return err
			}
		}
	}
	m.identities.mu.Lock()
	defer m.identities.mu.Unlock()
	m.identities.pinned = n
	return nil
}
