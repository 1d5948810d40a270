package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// makings are the indexes of packages that are being read.
type makings struct {
	mu   sync.Mutex
	m    map[string]*making // by the name of the path index
	wake chan struct{}      // closed, and replaced, when more has been read
}

// A making is the reading of one index of packages: first into a path index,
// which can be asked from the first record on, then into the history, which
// takes longer and which no client waits for.
type making struct {
	name  string        // of the path index
	ended chan struct{} // closed at the end of all, when err is set
	err   error

	mu      sync.Mutex
	records []pathRecord // as far as read; nil where the path index is there
	sorted  bool         // all are there
	over    bool         // the path index is there, or will not be
}

// tellPaths is after how many records those who wait for a path are woken.
const tellPaths = 1000

// unfed is the end of the name of an empty file beside a path index: the
// history has not been told yet of what the index names.
const unfed = ".unfed"

// makeIndex begins to read an index that is in the store, if nobody does, and
// returns the reading.
func (m *Mirror) makeIndex(up *upstream, l *loaded, f *File) *making {
	name := m.indexPath(f.Digest)
	m.makings.mu.Lock()
	defer m.makings.mu.Unlock()
	if k := m.makings.m[name]; k != nil {
		return k
	}
	k := &making{name: name, ended: make(chan struct{})}
	m.makings.m[name] = k
	m.background.Go(func() {
		k.err = m.index(m.ctx, k, up, l, f)
		if k.err != nil && m.ctx.Err() == nil {
			m.config.Log.Warn("cannot read an index of packages", "prefix", up.Prefix, "path", f.Path, "error", k.err)
		}
		m.makings.mu.Lock()
		delete(m.makings.m, name)
		m.makings.mu.Unlock()
		close(k.ended)
	})
	return k
}

// news returns a channel that is closed when more of some index has been read.
func (s *makings) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake
}

func (s *makings) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.wake)
	s.wake = make(chan struct{})
}

// index makes the path index of a file and has the history learn what a signed
// one names. Both are made once; a file tells what is left of the latter, so
// that it is done after a crash too. Two indexes are read at a time, and one
// goes into the history, so that the first two never wait for that.
func (m *Mirror) index(ctx context.Context, k *making, up *upstream, l *loaded, f *File) error {
	err := within(ctx, m.indexSlots, func() error { return m.indexPaths(ctx, k, up, l, f) })
	k.leave()
	m.makings.tell()
	if err == nil && m.isUnfed(k.name) {
		err = within(ctx, m.feedSlot, func() error {
			if err := m.feed(ctx, up, l, f); err != nil {
				return err
			}
			return os.Remove(k.name + unfed)
		})
	}
	if err != nil {
		return fmt.Errorf("index %s: %w", f.Path, err)
	}
	return nil
}

// within does something as soon as there is a slot for it.
func within(ctx context.Context, slots chan struct{}, do func() error) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Mirror) isUnfed(name string) bool {
	_, err := os.Lstat(name + unfed)
	return err == nil
}

// indexPaths writes the path index of a file, if it is not there.
func (m *Mirror) indexPaths(ctx context.Context, k *making, up *upstream, l *loaded, f *File) error {
	if m.hasIndex(f.Digest) {
		return nil
	}
	n := 0
	err := m.eachPackage(ctx, up, f, func(p Package) error {
		r, err := newPathRecord(&p)
		if err != nil {
			return err
		}
		if n++; n > maxPackages {
			return fmt.Errorf("it names more than %d files", maxPackages)
		}
		k.add(r)
		if n%tellPaths == 0 {
			m.makings.tell()
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	records := k.sort()
	m.makings.tell()
	if l.set.Signed {
		if err := os.WriteFile(k.name+unfed, nil, 0o644); err != nil {
			return err
		}
	}
	return writePathIndex(k.name, records)
}

func (k *making) add(r pathRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = append(k.records, r)
}

// sort puts the records in the order of a path index, now that all are there.
func (k *making) sort() []pathRecord {
	k.mu.Lock()
	defer k.mu.Unlock()
	sortRecords(k.records)
	k.sorted = true
	return k.records
}

// leave gives the records up: from now on the path index is asked.
func (k *making) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records, k.over = nil, true
}

// find looks for a path among the records from one on. It returns how many
// there are, and whether there may be more.
func (k *making) find(key [keySize]byte, from int) (w want, found bool, to int, more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	to, more = len(k.records), !k.sorted && !k.over
	if k.sorted {
		i, ok := findRecord(to, func(i int) int { return bytes.Compare(k.records[i][:keySize], key[:]) })
		if ok {
			return k.records[i].want(), true, to, false
		}
		return w, false, to, false
	}
	for i := from; i < to; i++ {
		if bytes.Equal(k.records[i][:keySize], key[:]) {
			return k.records[i].want(), true, to, false
		}
	}
	return w, false, to, more
}

// A search looks for a path in an index that is being read.
type search struct {
	*making
	from int
	done bool
}

// askMakings looks for a path in indexes that are being read. It returns when
// one has named it, or when none will.
func (m *Mirror) askMakings(ctx context.Context, path string, searches []*search) (want, bool) {
	key := pathKey(path)
	for len(searches) > 0 {
		news := m.makings.news()
		waiting := false
		for _, s := range searches {
			if s.done {
				continue
			}
			w, found, to, more := s.find(key, s.from)
			if !found && !more {
				// It may have ended since it was looked at first.
				w, found = m.askIndex(s.name, path)
			}
			if found {
				return w, true
			}
			s.from, s.done = to, !more
			waiting = waiting || more
		}
		if !waiting {
			break
		}
		select {
		case <-news:
		case <-ctx.Done():
			return want{}, false
		}
	}
	return want{}, false
}

// feed adds what an index names to the history.
func (m *Mirror) feed(ctx context.Context, up *upstream, l *loaded, f *File) error {
	batch := make([]Seen, 0, 8000)
	first := time.Now().UTC().Truncate(time.Second)
	flush := func() error {
		err := errors.Join(ctx.Err(), m.see(batch))
		batch = batch[:0]
		return err
	}
	err := m.eachPackage(ctx, up, f, func(p Package) error {
		w := want{digest: p.Digest}
		copy(w.identity[:], p.Identity)
		if d := m.digestBehind(w); !d.IsZero() {
			s := Seen{Digest: d, Size: p.Size, Archive: l.set.Archive, Prefix: up.Prefix, Path: p.Path,
				Name: p.Name, Version: p.Version, Arch: p.Arch, First: first}
			if s.proper() {
				batch = append(batch, s)
			}
		}
		if len(batch) == cap(batch) {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return err
}

// feedLeft goes on with what the history had not been told of when the mirror
// ended: of indexes of current sets and of those before.
func (m *Mirror) feedLeft() {
	left, _ := filepath.Glob(m.state.path(indexDir, "*"+unfed))
	if len(left) == 0 {
		return
	}
	for _, up := range m.upstreams {
		m.feedUpstream(up)
	}
}

func (m *Mirror) feedUpstream(up *upstream) {
	for _, r := range up.known(nil) {
		sets := []*loaded{r.peek()}
		for _, old := range firstN(r.oldSets(), 8) {
			if l, err := m.load(m.ctx, up, old.ID); err == nil {
				sets = append(sets, l)
			}
		}
		for _, l := range sets {
			for _, f := range l.atHand() {
				if m.isUnfed(m.indexPath(f.Digest)) {
					m.makeIndex(up, l, f)
				}
			}
		}
	}
}
