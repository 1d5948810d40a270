package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/lockfile"
)

const (
	// retryAfter is how long a failure to refresh a root is remembered.
	retryAfter = 5 * time.Second
	// chases is how often a new set is begun anew since upstream has moved on
	// while it was being taken.
	chases = 8
	// keepUsed is for how long a file that clients asked for is taken along
	// from set to set.
	keepUsed = 14 * 24 * time.Hour
	maxUsed  = 2000
	// maxOld is how many replaced sets of a root are kept at most.
	maxOld = 500
)

// root is one root of metadata of an upstream, and its sets.
type root struct {
	up   *upstream
	path string

	mu       sync.Mutex
	current  *loaded // nil where there is none yet
	old      []oldSet
	used     map[string]time.Time
	checked  time.Time // when upstream was last found to have the current set
	failed   error     // why it was not, at failedAt
	failedAt time.Time
	call     chan struct{} // closed when the refresh that is under way ends
}

// fresh returns the current set, no older than the mirror's Fresh if upstream
// can be asked. stale says why the set may be old; err that there is none.
func (r *root) fresh(ctx context.Context) (l *loaded, stale, err error) {
	m := r.up.m
	m.share.look(ctx, r)
	r.mu.Lock()
	if m.offline.Load() {
		defer r.mu.Unlock()
		if r.current == nil {
			return nil, nil, errOffline
		}
		return r.current, errors.New("the mirror is offline"), nil
	}
	now := time.Now()
	if r.current != nil && now.Sub(r.checked) < m.config.Fresh {
		defer r.mu.Unlock()
		return r.current, nil, nil
	}
	if r.call == nil && r.failed != nil && now.Sub(r.failedAt) < retryAfter {
		defer r.mu.Unlock()
		return r.verdict()
	}
	if r.call == nil {
		call := make(chan struct{})
		r.call = call
		m.background.Go(func() { r.refresh(m.ctx, call) })
	}
	call := r.call
	r.mu.Unlock()
	patience := time.NewTimer(m.config.Patience)
	defer patience.Stop()
	select {
	case <-call:
	case <-patience.C:
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.current != nil {
			return r.current, errors.New("upstream does not answer in time"), nil
		}
		return nil, nil, errors.New("upstream does not answer in time")
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verdict()
}

// verdict is what the last refresh came to. The caller has r.mu.
func (r *root) verdict() (*loaded, error, error) {
	if r.current == nil {
		if r.failed == nil {
			return nil, nil, errors.New("there is no set yet")
		}
		return nil, nil, r.failed
	}
	return r.current, r.failed, nil
}

// peek returns the current set as it is, or nil.
func (r *root) peek() *loaded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// lose drops a current set whose root is not in the store any more, since
// someone deleted it, so that it is fetched anew.
func (r *root) lose(l *loaded) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != l || r.up.m.offline.Load() {
		return false
	}
	r.current, r.checked, r.failed = nil, time.Time{}, nil
	r.up.m.config.Log.Warn("a set is lost and will be fetched again", "prefix", r.up.Prefix, "root", r.path)
	return true
}

func (r *root) oldSets() []oldSet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.old)
}

// refresh asks upstream, and takes a new set where there is one.
func (r *root) refresh(ctx context.Context, call chan struct{}) {
	began := time.Now()
	err := r.advance(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed, r.failedAt = err, time.Now()
	if err == nil {
		r.checked = began
	} else if r.current != nil {
		r.up.m.count.setsRefused.Add(1)
	}
	if err != nil && ctx.Err() == nil && (r.current != nil || !missing(err)) {
		r.up.m.event(event{what: "refused", prefix: r.up.Prefix, path: r.path, note: err.Error()})
	}
	r.call = nil
	close(call)
}

// advance goes after upstream until one of its sets could be taken whole.
func (r *root) advance(ctx context.Context) error {
	var err error
	for chase := range chases {
		if chase > 0 {
			if err := pause(ctx, time.Duration(chase)*50*time.Millisecond); err != nil {
				return err
			}
		}
		var next *loaded
		if next, err = r.read(ctx); err != nil || next == nil {
			return err
		}
		if err = r.complete(ctx, next, chase == chases-1); err == nil {
			return r.up.m.share.commit(ctx, r, next)
		}
		if !missing(err) && !isBad(err) {
			return err
		}
	}
	return fmt.Errorf("upstream changes faster than a set can be taken: %w", err)
}

// read gets the root from the first place that has a good one. It returns nil
// where it is what the current set is of.
func (r *root) read(ctx context.Context) (*loaded, error) {
	var errs []error
	gone := true
	current := r.peek()
	for i := range r.up.bases {
		l, err := r.readFrom(ctx, i, current)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		gone = gone && missing(err)
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if !gone && missing(err) {
		// One that failed may have it: that is not the same as being gone.
		return nil, fmt.Errorf("no upstream gave %s: %v", r.path, err)
	}
	return nil, err
}

func (r *root) readFrom(ctx context.Context, i int, current *loaded) (*loaded, error) {
	m := r.up.m
	rec := &record{Prefix: r.up.Prefix, Root: r.path}
	same := true
	var came [][]byte // to be kept if all is well
	set, err := r.up.Format.Read(r.path, func(path string) ([]byte, error) {
		// A format may ask again, for files that belong together.
		rec.Files = slices.DeleteFunc(rec.Files, func(f rootFile) bool { return f.Path == path })
		var known *rootFile
		if current != nil {
			if known = current.rootFile(path); known != nil && known.From != r.up.sources[i].Name() {
				known = nil
			}
		}
		a, err := r.up.ask(ctx, i, path, known)
		if errors.Is(err, errUnchanged) {
			rec.Files = append(rec.Files, *known)
			return m.store.read(ctx, known.Digest, m.config.MaxRoot)
		}
		if err != nil {
			return nil, err
		}
		a.Digest = lockfile.DigestOf(a.data)
		rec.Files = append(rec.Files, a.rootFile)
		if known := knownFile(current, path); known == nil || known.Digest != a.Digest {
			same = false
		}
		came = append(came, a.data)
		return a.data, nil
	}, false)
	if err != nil {
		return nil, err
	}
	if current != nil && same && len(rec.Files) == len(current.rec.Files) {
		return nil, nil
	}
	if current != nil && !set.Date.IsZero() && set.Date.Before(current.rec.Date) {
		return nil, fmt.Errorf("%s has a %s of %s, older than the last good one of %s: it is behind, or someone replays it",
			r.up.sources[i].Name(), r.path, set.Date.Format(time.RFC3339), current.rec.Date.Format(time.RFC3339))
	}
	for _, data := range came {
		if _, err := m.store.put(ctx, data); err != nil {
			return nil, err
		}
	}
	rec.Archive, rec.Date, rec.Signed = set.Archive, set.Date, set.Signed
	return newLoaded(m, "", rec, set), nil
}

func knownFile(l *loaded, path string) *rootFile {
	if l == nil {
		return nil
	}
	return l.rootFile(path)
}

// complete gets the files without which a set is not to be seen: those that
// the format wants and those that clients use. On the last chase what no
// client has used yet may be absent, since archives list files that they do
// not have.
func (r *root) complete(ctx context.Context, next *loaded, last bool) error {
	used := map[string]bool{}
	r.mu.Lock()
	for path, at := range r.used {
		used[path] = time.Since(at) < keepUsed
	}
	first := r.current == nil
	r.mu.Unlock()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.up.m.config.Parallel)
	for i := range next.set.Files {
		f := &next.set.Files[i]
		if !f.Eager && !used[f.Path] {
			continue
		}
		g.Go(func() error {
			err := r.up.m.ensureFile(gctx, r.up, next, f)
			if err != nil && missing(err) && last && (first || !used[f.Path]) {
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// stamp says when a new set was taken, and gives it a time that is later than
// that of the current one and of another, which may be nil.
func (r *root) stamp(next *loaded, other *record) {
	now := time.Now().UTC()
	rec := next.rec
	rec.Adopted, rec.Stamp = now, now.Truncate(time.Second)
	if !rec.Date.IsZero() && rec.Date.Before(rec.Stamp) {
		rec.Stamp = rec.Date.UTC()
	}
	if current := r.peek(); current != nil && !rec.Stamp.After(current.rec.Stamp) {
		rec.Stamp = current.rec.Stamp.Add(time.Second)
	}
	if other != nil && !rec.Stamp.After(other.Stamp) {
		rec.Stamp = other.Stamp.Add(time.Second)
	}
}

// commit makes a set the current one.
func (r *root) commit(ctx context.Context, next *loaded) error {
	m := r.up.m
	rec := next.rec
	now := time.Now().UTC().Truncate(time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := m.state.saveRecord(rec)
	if err != nil {
		return err
	}
	next.id = id
	if err := m.pinSet(ctx, r.up, next); err != nil {
		return err
	}
	old := r.old
	if r.current != nil {
		old = append([]oldSet{{r.current.id, now}}, old...)
	}
	if err := m.state.saveRoot(r.up.Prefix, r.path, r.stateWith(id, old)); err != nil {
		return err
	}
	r.current, r.old = next, old
	m.loadMu.Lock()
	m.keepLoaded(next)
	m.loadMu.Unlock()
	m.resolved.clear()
	m.count.setsAdopted.Add(1)
	for _, f := range rec.Files {
		m.event(event{what: "set", prefix: r.up.Prefix, path: f.Path, digest: f.Digest, size: f.Size, note: f.From})
	}
	return nil
}

func (r *root) stateWith(current string, old []oldSet) *rootState {
	rs := &rootState{Current: current, Old: old}
	for path, at := range r.used {
		if time.Since(at) < keepUsed {
			rs.Used = append(rs.Used, usedRef{path, at.UTC().Truncate(time.Second)})
		}
	}
	slices.SortFunc(rs.Used, func(a, b usedRef) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return rs
}

// use notes that a client was given a file of a set.
func (r *root) use(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.used[path]
	now := time.Now()
	if known && now.Sub(last) < time.Hour || len(r.used) >= maxUsed {
		return
	}
	r.used[path] = now
	if !known && r.current != nil && r.current.id != "" {
		if err := r.up.m.state.saveRoot(r.up.Prefix, r.path, r.stateWith(r.current.id, r.old)); err != nil {
			r.up.m.config.Log.Error("cannot write the state of a root", "prefix", r.up.Prefix, "root", r.path, "error", err)
		}
	}
}
