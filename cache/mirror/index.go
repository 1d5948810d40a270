package mirror

import (
	"context"
	"os"
	"path"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/lockfile"
)

func (m *Mirror) indexPath(d lockfile.Digest) string { return m.state.path(indexDir, d.String()) }

func (m *Mirror) hasIndex(d lockfile.Digest) bool {
	_, err := os.Lstat(m.indexPath(d))
	return err == nil
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

// lookup asks the indexes of sets for a path: first those that have been read,
// then, as far as they have come, those that are being read.
func (m *Mirror) lookup(ctx context.Context, up *upstream, path string, sets ...*loaded) (want, bool) {
	var searches []*search
	for _, l := range sets {
		for _, f := range l.atHand() {
			if !m.hasIndex(f.Digest) {
				searches = append(searches, &search{making: m.makeIndex(up, l, f)})
				continue
			}
			if w, ok := m.askIndex(m.indexPath(f.Digest), path); ok {
				return w, true
			}
		}
	}
	return m.askMakings(ctx, path, searches)
}

// askIndex asks a path index. One that is not there names nothing.
func (m *Mirror) askIndex(name, path string) (want, bool) {
	w, ok, err := lookupPath(name, path)
	if err != nil && !missing(err) {
		m.config.Log.Warn("cannot read a path index", "error", err)
		return want{}, false
	}
	return w, ok
}
