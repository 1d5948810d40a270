package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/lockfile"
)

// Warming is what Warm did. Bytes are those of the files that came.
type Warming struct {
	Files   int64 `json:"files"`   // that are in the store now
	Fetched int64 `json:"fetched"` // of which were fetched
	Failed  int64 `json:"failed"`
	Bytes   int64 `json:"bytes"`
	// Errors say what could not be had; not all of it, if it is much.
	Errors []string `json:"errors,omitempty"`
}

// A Choice is what Warm fetches of a frozen state; empty fields choose all.
type Choice struct {
	Archives []string // prefixes of upstreams
	// Architectures and Components are those of packages, as the archive's
	// format names them.
	Architectures, Components []string
}

// maxWarmErrors bounds how many failures are told one by one.
const maxWarmErrors = 20

// Warm fetches all packages of a frozen state that are chosen. A file that
// cannot be had does not stop the rest.
func (m *Mirror) Warm(ctx context.Context, timestamp string, choice Choice) (Warming, error) {
	w := &warmer{m: m}
	w.group.SetLimit(m.config.Parallel)
	snap, err := m.snapshots.at(timestamp)
	if err != nil {
		return w.Warming, err
	}
	for _, prefix := range choice.Archives {
		if m.byPrefix[prefix] == nil {
			return w.Warming, fmt.Errorf("no archive of this mirror has the prefix %q: %w", prefix, fs.ErrNotExist)
		}
	}
	for _, up := range m.upstreams {
		if len(choice.Archives) > 0 && !slices.Contains(choice.Archives, up.Prefix) {
			continue
		}
		sets, err := m.frozen(ctx, up, snap)
		if err != nil {
			return w.Warming, err
		}
		for _, l := range sets {
			w.set(ctx, up, l, choice)
			if err := m.pinFrozen(ctx, up, l); err != nil {
				w.fail(err)
			}
		}
	}
	return w.finish()
}

// WarmLock fetches what a lock names, from the archives that the mirror knows.
func (m *Mirror) WarmLock(ctx context.Context, lock *lockfile.Lock) (Warming, error) {
	w := &warmer{m: m}
	w.group.SetLimit(m.config.Parallel)
	for _, e := range lock.Entries {
		t := m.byDigest(e.Digest)
		if t == nil {
			t = m.lockTarget(e)
		}
		w.obtain(ctx, t, e.Path, false)
	}
	return w.finish()
}

// lockTarget guesses where an entry of a lock lies that no history tells: at
// its path in any upstream.
func (m *Mirror) lockTarget(e lockfile.Entry) *target {
	t := &target{path: e.Path, want: want{digest: e.Digest, size: -1}}
	for _, up := range m.upstreams {
		t.up = up
		t.places = append(t.places, up.places(e.Path)...)
	}
	return t
}

type warmer struct {
	Warming // first: 32-bit machines count in memory only what begins at 64 bits
	m       *Mirror
	group   errgroup.Group
	mu      sync.Mutex
	errs    []error
}

func (w *warmer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Failed++; len(w.errs) < maxWarmErrors {
		w.errs = append(w.errs, err)
	}
}

func (w *warmer) finish() (Warming, error) {
	_ = w.group.Wait()
	if more := w.Failed - int64(len(w.errs)); more > 0 {
		w.errs = append(w.errs, fmt.Errorf("and %d more", more))
	}
	for _, err := range w.errs {
		w.Errors = append(w.Errors, oneField(err.Error()))
	}
	return w.Warming, errors.Join(w.errs...)
}

// set fetches the indexes that are wanted of a set, one form of each, and then
// what they name.
func (w *warmer) set(ctx context.Context, up *upstream, l *loaded, choice Choice) {
	done := map[string]bool{}
	for _, atHand := range []bool{true, false} {
		for i := range l.set.Files {
			f := &l.set.Files[i]
			stem := strings.TrimSuffix(f.Path, path.Ext(f.Path))
			if path.Ext(f.Path) == "" {
				stem = f.Path
			}
			if !f.Index || done[stem] || !chosen(f.Arch, choice.Architectures) || !chosen(f.Component, choice.Components) || w.m.store.has(f.Digest) != atHand {
				continue
			}
			if err := w.m.ensureFile(ctx, up, l, f); err != nil {
				if !missing(err) {
					w.fail(fmt.Errorf("%s: %w", f.Path, err))
				}
				continue
			}
			done[stem] = true
			err := w.m.eachPackage(ctx, up, f, func(p Package) error {
				want := want{digest: p.Digest, size: p.Size}
				copy(want.identity[:], p.Identity)
				w.obtain(ctx, w.m.packageTarget(up, p.Path, want), p.Path, p.Optional)
				return ctx.Err()
			})
			if err != nil {
				w.fail(fmt.Errorf("%s: %w", f.Path, err))
			}
		}
	}
}

func chosen(word string, wanted []string) bool {
	return len(wanted) == 0 || word == "" || slices.Contains(wanted, word)
}

func (w *warmer) obtain(ctx context.Context, t *target, name string, optional bool) {
	w.group.Go(func() error {
		d, fetched, err := w.m.obtain(ctx, t)
		if optional && missing(err) {
			return nil
		}
		if err != nil {
			w.fail(fmt.Errorf("%s: %w", name, err))
			return nil
		}
		atomic.AddInt64(&w.Files, 1)
		if info, err := w.m.store.size(d); err == nil && fetched {
			atomic.AddInt64(&w.Fetched, 1)
			atomic.AddInt64(&w.Bytes, info)
		}
		return nil
	})
}

// obtain sees to it that a target is in the store.
func (m *Mirror) obtain(ctx context.Context, t *target) (d lockfile.Digest, fetched bool, err error) {
	if d = t.want.digest; d.IsZero() {
		d, _ = m.identities.get(t.want.identity)
	}
	if !d.IsZero() && m.store.has(d) {
		return d, false, nil
	}
	if m.offline.Load() {
		return d, false, errOffline
	}
	d, err = m.fly(t.up, t.want, t.path, t.where()).wait(ctx)
	if err == nil && t.arrived != nil {
		t.arrived()
	}
	return d, true, err
}

// byDigest finds a file by the history of what was signed, or among the
// metadata of the current sets.
func (m *Mirror) byDigest(d lockfile.Digest) *target {
	if s, ok := m.history.digest(d); ok && m.byPrefix[s.Prefix] != nil {
		return m.packageTarget(m.byPrefix[s.Prefix], s.Path, want{digest: d, size: s.Size})
	}
	for _, up := range m.upstreams {
		for _, r := range up.known(nil) {
			l := r.peek()
			if l == nil {
				continue
			}
			for i := range l.set.Files {
				if f := &l.set.Files[i]; f.Digest == d {
					return m.fileTarget(up, r, l, f, f.Path, false)
				}
			}
		}
	}
	return nil
}
