package mirror

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/lockfile"
)

// The names of the pins that a mirror makes in the cache: one for what is at
// hand of each set that is kept, one for all that a frozen set names, and while
// something is being evicted one for what could not be fetched again.
const (
	pinOfSet    = "mirror-set-"
	pinOfFrozen = "mirror-frozen-"
	pinOfRest   = "mirror-irreplaceable"
)

// entry is a blob in the lock of a pin. It is named by its digest: two sets
// may have two files by one name.
func entry(up *upstream, d lockfile.Digest) lockfile.Entry {
	return lockfile.Entry{Digest: d, Path: "sha256/" + d.String(), Archive: lockfile.Archive{Name: lockfile.ArchiveName(up.Prefix, "")}}
}

// metadataAtHand lists the files of a set that are in the store.
func (m *Mirror) metadataAtHand(up *upstream, l *loaded) []lockfile.Entry {
	var out []lockfile.Entry
	for _, f := range l.rec.Files {
		out = append(out, entry(up, f.Digest))
	}
	for _, f := range l.set.Files {
		if m.store.has(f.Digest) {
			out = append(out, entry(up, f.Digest))
		}
	}
	return out
}

func (m *Mirror) pin(ctx context.Context, name string, entries []lockfile.Entry) error {
	slices.SortFunc(entries, lockfile.Entry.Compare)
	entries = slices.CompactFunc(entries, func(a, b lockfile.Entry) bool { return a.Digest == b.Digest })
	c, release := m.store.acquire()
	defer release()
	return c.Pin(ctx, name, &lockfile.Lock{Entries: entries})
}

// pinSet keeps the metadata of a set from being evicted.
func (m *Mirror) pinSet(ctx context.Context, up *upstream, l *loaded) error {
	m.pinMu.Lock()
	defer m.pinMu.Unlock()
	entries := m.metadataAtHand(up, l)
	if err := m.pin(ctx, pinOfSet+l.id, entries); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.pinned[e.Digest] = true
	}
	return nil
}

// repin takes a file into the pin of its set that came later.
func (m *Mirror) repin(up *upstream, l *loaded, d lockfile.Digest) {
	l.mu.Lock()
	known := l.pinned[d]
	l.mu.Unlock()
	if known {
		return
	}
	if err := m.pinSet(m.ctx, up, l); err != nil && m.ctx.Err() == nil {
		m.config.Log.Error("cannot pin a set", "prefix", up.Prefix, "root", l.rec.Root, "error", err)
	}
}

// pinFrozen keeps all that a set names, whether it is there yet or not.
func (m *Mirror) pinFrozen(ctx context.Context, up *upstream, l *loaded) error {
	m.pinMu.Lock()
	defer m.pinMu.Unlock()
	entries := m.metadataAtHand(up, l)
	for _, f := range l.atHand() {
		err := m.eachPackage(ctx, up, f, func(p Package) error {
			d := p.Digest
			if d.IsZero() {
				var id [32]byte
				copy(id[:], p.Identity)
				d, _ = m.identities.get(id)
			}
			if !d.IsZero() {
				entries = append(entries, entry(up, d))
			}
			return nil
		})
		if err != nil && !missing(err) {
			return err
		}
	}
	return m.pin(ctx, pinOfFrozen+l.id, entries)
}

// Pin keeps what a lock names, under a name of the user's, whether it is there
// yet or not; Unpin lets go of it.
func (m *Mirror) Pin(ctx context.Context, name string, lock *lockfile.Lock) error {
	c, release := m.store.acquire()
	defer release()
	if err := c.Pin(ctx, name, lock); err != nil {
		return err
	}
	return m.share.pinned(name, lock)
}

// Unpin removes a pin. The error wraps fs.ErrNotExist where there is none.
func (m *Mirror) Unpin(ctx context.Context, name string) error {
	c, release := m.store.acquire()
	defer release()
	if err := c.Unpin(ctx, name); err != nil {
		return err
	}
	return m.share.pinned(name, nil)
}

// housekeeping runs until the Mirror is closed.
func (m *Mirror) housekeeping() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var fetched int64 = -1
	for n := 0; ; n++ {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
		m.tidy(m.ctx, time.Now())
		if now := m.count.bytesFetched.Load(); m.config.Budget > 0 && n%10 == 0 && now != fetched {
			fetched = now
			if _, err := m.Evict(m.ctx); err != nil && m.ctx.Err() == nil {
				m.config.Log.Error("cannot evict", "error", err)
			}
		}
	}
}

// keepIndex is how long a path index is kept that nobody asks.
const keepIndex = 7 * 24 * time.Hour

// tidy drops what has had its time: sets that were replaced long ago, roots
// that never were there, path indexes that nobody asks.
func (m *Mirror) tidy(ctx context.Context, now time.Time) {
	for _, up := range m.upstreams {
		up.mu.Lock()
		var roots []*root
		for path, r := range up.roots {
			r.mu.Lock()
			if r.current == nil && r.call == nil && !r.failedAt.IsZero() && now.Sub(r.failedAt) > time.Minute {
				delete(up.roots, path)
			}
			r.mu.Unlock()
			roots = append(roots, r)
		}
		up.mu.Unlock()
		for _, r := range roots {
			m.tidyRoot(ctx, r, now)
		}
	}
	m.hot.tidy(now)
	m.bindings.mu.Lock()
	m.bindings.dropOld(now.Add(-keepBinding))
	m.bindings.mu.Unlock()
	entries, _ := os.ReadDir(m.state.path(indexDir))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > keepIndex {
			_ = os.Remove(m.state.path(indexDir, e.Name()))
		}
	}
	c, release := m.store.acquire()
	defer release()
	if err := c.Sync(ctx); err != nil && ctx.Err() == nil {
		m.config.Log.Error("cannot sync the cache", "error", err)
	}
}

// tidyRoot lets go of the old sets of a root. The records of sets that were
// frozen stay.
func (m *Mirror) tidyRoot(ctx context.Context, r *root, now time.Time) {
	r.mu.Lock()
	var keep, drop []oldSet
	for i, o := range r.old {
		if i < maxOld && now.Sub(o.Until) < m.config.KeepSets {
			keep = append(keep, o)
		} else {
			drop = append(drop, o)
		}
	}
	if len(drop) == 0 || r.current == nil {
		r.mu.Unlock()
		return
	}
	err := m.state.saveRoot(r.up.Prefix, r.path, r.stateWith(r.current.id, keep))
	if err == nil {
		r.old = keep
	}
	r.mu.Unlock()
	if err != nil {
		return
	}
	frozen := m.frozenIDs()
	for _, o := range drop {
		_ = m.Unpin(ctx, pinOfSet+o.ID)
		if frozen != nil && !frozen[o.ID] {
			_ = os.Remove(m.state.path(setsDir, o.ID+".json"))
		}
	}
}

// frozenIDs are the sets of all snapshots; nil where they cannot be read.
func (m *Mirror) frozenIDs() map[string]bool {
	ids := map[string]bool{}
	for _, name := range m.snapshots.list() {
		snap, err := m.snapshots.at(name)
		if err != nil {
			return nil
		}
		for _, s := range snap.Sets {
			ids[s.ID] = true
		}
	}
	return ids
}

// Evict removes the least recently used blobs until the cache is within the
// mirror's budget: only such as no pin names and as a current set still has,
// so that upstream can be asked for them again.
func (m *Mirror) Evict(ctx context.Context) (*cache.Pruned, error) {
	if m.config.Budget <= 0 {
		return &cache.Pruned{}, nil
	}
	m.evictMu.Lock()
	defer m.evictMu.Unlock()
	defer m.store.watch()()
	if err := m.store.rotate(); err != nil {
		return nil, err
	}
	c, release := m.store.acquire()
	defer release()
	blobs, err := c.List(ctx)
	if err != nil {
		return nil, err
	}
	var total int64
	var rest []lockfile.Entry
	for _, b := range blobs {
		total += b.Size
		if len(b.Pins) == 0 && !m.replaceable(ctx, b.Digest) && !m.share.has(ctx, b.Digest) {
			rest = append(rest, lockfile.Entry{Digest: b.Digest, Path: "sha256/" + b.Digest.String()})
		}
	}
	if total <= m.config.Budget {
		return &cache.Pruned{}, nil
	}
	if err := m.repinFrozen(ctx); err != nil {
		return nil, err
	}
	m.store.evicting.Lock()
	defer m.store.evicting.Unlock()
	for d := range m.store.recent {
		rest = append(rest, lockfile.Entry{Digest: d, Path: "sha256/" + d.String()})
	}
	if err := c.Pin(ctx, pinOfRest, &lockfile.Lock{Entries: rest}); err != nil {
		return nil, err
	}
	pruned, err := c.Prune(ctx, cache.PruneOptions{MaxBytes: m.config.Budget})
	if pruned == nil {
		pruned = &cache.Pruned{}
	}
	m.store.forget(pruned.Blobs)
	m.count.evicted.Add(int64(len(pruned.Blobs)))
	for _, b := range pruned.Blobs {
		m.event(event{what: "evicted", digest: b.Digest, size: b.Size})
	}
	return pruned, cmp.Or(err, errors.Join(c.Unpin(ctx, pinOfRest)))
}

// replaceable reports whether a current set names the blob.
func (m *Mirror) replaceable(ctx context.Context, d lockfile.Digest) bool {
	s, ok := m.history.digest(d)
	if !ok {
		return false
	}
	up := m.byPrefix[s.Prefix]
	if up == nil {
		return false
	}
	for _, r := range up.known(nil) {
		if l := r.peek(); l != nil {
			if w, ok := m.lookup(ctx, up, s.Path, l); ok && m.digestBehind(w) == d {
				return true
			}
		}
	}
	return false
}
