package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Snapshot is a state that was frozen: the sets that were current.
type Snapshot struct {
	Time time.Time   `json:"time"` // UTC, whole seconds
	Sets []FrozenSet `json:"sets"`
}

// A FrozenSet is one set of a Snapshot.
type FrozenSet struct {
	Prefix  string    `json:"prefix"`
	Root    string    `json:"root"`
	ID      string    `json:"id"`
	Archive string    `json:"archive"`
	Date    time.Time `json:"date"`
}

// snapshots are those that there are, by their timestamps.
type snapshots struct {
	mu    sync.RWMutex
	state *state
	names []string // sorted
	m     map[string]*Snapshot
}

func (s *snapshots) open(st *state) error {
	s.state, s.m = st, map[string]*Snapshot{}
	entries, err := os.ReadDir(st.path(snapshotsDir))
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if _, err := parseTimestamp(name); ok && err == nil {
			s.names = append(s.names, name)
		}
	}
	slices.Sort(s.names)
	return err
}

// parseTimestamp reads a time of the form 20261121T033000Z.
func parseTimestamp(s string) (time.Time, error) {
	t, err := time.Parse(timestampForm, s)
	if err != nil || t.Format(timestampForm) != s {
		return t, fmt.Errorf("%q is no time such as 20261121T033000Z", s)
	}
	return t, nil
}

// at returns the snapshot of that time or the latest before it.
func (s *snapshots) at(timestamp string) (*Snapshot, error) {
	if _, err := parseTimestamp(timestamp); err != nil {
		return nil, fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, exact := slices.BinarySearch(s.names, timestamp)
	if !exact {
		i--
	}
	if i < 0 {
		return nil, fmt.Errorf("nothing was frozen at %s or before: %w", timestamp, fs.ErrNotExist)
	}
	name := s.names[i]
	if snap, ok := s.m[name]; ok {
		return snap, nil
	}
	snap := &Snapshot{}
	if err := s.state.readJSON(snapshotsDir+"/"+name+".json", snap); err != nil {
		return nil, err
	}
	s.m[name] = snap
	return snap, nil
}

// add keeps a snapshot under its time, or the first second after that which is
// free.
func (s *snapshots) add(snap *Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		name := snap.Time.Format(timestampForm)
		i, taken := slices.BinarySearch(s.names, name)
		if taken {
			snap.Time = snap.Time.Add(time.Second)
			continue
		}
		if err := s.state.writeJSON(snapshotsDir+"/"+name+".json", snap); err != nil {
			return err
		}
		s.names = slices.Insert(s.names, i, name)
		s.m[name] = snap
		return nil
	}
}

func (s *snapshots) list() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.names)
}

// Freeze keeps the current sets for ever, under the time of now. What they
// name is kept too once it has been fetched; see Warm to fetch it all.
func (m *Mirror) Freeze(ctx context.Context) (*Snapshot, error) {
	snap := &Snapshot{Time: m.config.Now().UTC().Truncate(time.Second)}
	for _, up := range m.upstreams {
		for _, r := range up.known(nil) {
			l := r.peek()
			if err := m.pinFrozen(ctx, up, l); err != nil {
				return nil, fmt.Errorf("freeze %s/%s: %w", up.Prefix, r.path, err)
			}
			snap.Sets = append(snap.Sets, FrozenSet{up.Prefix, r.path, l.id, l.set.Archive, l.set.Date})
		}
	}
	if len(snap.Sets) == 0 {
		return nil, errors.New("there is nothing to freeze: no client has asked for an archive yet")
	}
	m.share.claim(ctx, snap)
	if err := m.snapshots.add(snap); err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	m.event(event{what: "frozen", note: snap.Time.Format(timestampForm)})
	return snap, nil
}

// Snapshots returns the timestamps that were frozen, oldest first.
func (m *Mirror) Snapshots() []string { return m.snapshots.list() }

// Snapshot returns the state at a timestamp (20261121T033000Z): that of the
// time or the latest before it. The error wraps fs.ErrNotExist where there is
// none.
func (m *Mirror) Snapshot(timestamp string) (*Snapshot, error) { return m.snapshots.at(timestamp) }

// frozen loads the sets of an upstream in a snapshot.
func (m *Mirror) frozen(ctx context.Context, up *upstream, snap *Snapshot) ([]*loaded, error) {
	var out []*loaded
	for _, s := range snap.Sets {
		if s.Prefix != up.Prefix {
			continue
		}
		l, err := m.load(ctx, up, s.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// resolveFrozen finds out what a path was in a snapshot.
func (m *Mirror) resolveFrozen(ctx context.Context, up *upstream, path string, snap *Snapshot) (*target, error) {
	sets, err := m.frozen(ctx, up, snap)
	if err != nil {
		return nil, err
	}
	roots, begins := up.Format.Roots(path)
	for _, l := range sets {
		if begins && l.rec.Root == roots[0] {
			if f := l.rootFile(path); f != nil {
				return &target{up: up, path: path, want: want{digest: f.Digest, size: f.Size}, stamp: l.rec.Stamp}, nil
			}
		}
		if f, exact := l.file(path); f != nil && !begins {
			t := m.fileTarget(up, &root{up: up}, l, f, path, exact)
			t.served, t.gone = nil, nil
			t.arrived = func() {
				m.fileArrived(up, l, f)
				m.background.Go(func() { _ = m.pinFrozen(m.ctx, up, l) })
			}
			return t, nil
		}
	}
	if w, ok := m.lookup(ctx, up, path, sets...); ok {
		return m.packageTarget(up, path, w), nil
	}
	return nil, fmt.Errorf("the state of %s does not have it: %w", snap.Time.Format(timestampForm), fs.ErrNotExist)
}
