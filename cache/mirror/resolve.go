package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

// A target is what a client asks for: which bytes, and where they may be had.
type target struct {
	up   *upstream
	path string
	want want
	// places are where upstream is asked for it; nowhere if there are none,
	// and where ordinary is set at its path in up.
	places   []place
	ordinary bool
	// stamp is the Last-Modified of files that change under their name; zero
	// for one that follows from the digest.
	stamp time.Time
	// stale says why the file may be older than upstream's.
	stale error
	// arrived is called when the bytes are in the store, served when a client
	// has had them, and gone when upstream turns out not to have them; each
	// may be nil.
	arrived, served, gone func()
}

// where lists the places at which upstream is asked for the target.
func (t *target) where() []place {
	if t.ordinary {
		return t.up.places(t.path)
	}
	return t.places
}

// errUnnamed says that no set names a path.
var errUnnamed = errors.New("no index that this mirror has names it")

// maxResolved bounds the memory of package paths.
const maxResolved = 1 << 14

// resolvedCache remembers what the current sets say of packages.
type resolvedCache struct {
	mu sync.RWMutex
	m  map[packageKey]want
	// era counts the changes of sets: what was found out before one is not
	// remembered after it.
	era int
}

type packageKey struct{ prefix, path string }

func (c *resolvedCache) get(key packageKey) (w want, ok bool, era int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	w, ok = c.m[key]
	return w, ok, c.era
}

func (c *resolvedCache) put(key packageKey, w want, era int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if era != c.era {
		return
	}
	if c.m == nil || len(c.m) >= maxResolved {
		c.m = map[packageKey]want{}
	}
	c.m[key] = w
}

func (c *resolvedCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m = nil
	c.era++
}

// resolve finds out what a path of an upstream is now. client is whose plain
// paths of metadata must be of one set.
func (m *Mirror) resolve(ctx context.Context, client string, up *upstream, path string) (*target, error) {
	roots, begins := up.Format.Roots(path)
	if begins {
		return m.resolveRoot(ctx, client, up, path, roots[0])
	}
	if len(roots) > 0 {
		if t := m.resolveMetadata(ctx, client, up, path, roots); t != nil {
			return t, nil
		}
	}
	if w, ok := m.resolvePackage(ctx, up, path, roots); ok {
		return m.packageTarget(up, path, w), nil
	}
	if m.share.learn(ctx) {
		if w, ok := m.resolvePackage(ctx, up, path, roots); ok {
			return m.packageTarget(up, path, w), nil
		}
	}
	return nil, errUnnamed
}

func (m *Mirror) packageTarget(up *upstream, path string, w want) *target {
	return &target{up: up, path: path, want: w, ordinary: true}
}

func (m *Mirror) resolveRoot(ctx context.Context, client string, up *upstream, path, name string) (*target, error) {
	r, err := up.root(name)
	if err != nil {
		return nil, err
	}
	var stale error
	l := m.bindings.bound(client, r)
	if path == name || l == nil {
		if l, stale, err = r.fresh(ctx); err != nil {
			return nil, err
		}
		m.bindings.bind(client, r, l)
	} // else it is the signature of what the client was given
	f := l.rootFile(path)
	if f != nil && !m.store.has(f.Digest) && r.lose(l) {
		if l, stale, err = r.fresh(ctx); err != nil {
			return nil, err
		}
		m.bindings.bind(client, r, l)
		f = l.rootFile(path)
	}
	if f == nil {
		return nil, fmt.Errorf("%s is no part of the set of %s: %w", path, name, fs.ErrNotExist)
	}
	return &target{up: up, path: path, want: want{digest: f.Digest, size: f.Size}, stamp: l.rec.Stamp, stale: stale}, nil
}

// resolveMetadata finds a path that a set names: first in the set that the
// client has begun with, then in the current one and, where the path names a
// digest, in those before.
func (m *Mirror) resolveMetadata(ctx context.Context, client string, up *upstream, path string, roots []string) *target {
	known := up.known(roots)
	if len(known) == 0 && !m.offline.Load() {
		known = m.establish(ctx, up, roots)
	}
	m.share.lookFor(ctx, client, known, path)
	for _, r := range known {
		for _, l := range []*loaded{m.bindings.bound(client, r), r.peek()} {
			if l == nil {
				continue
			}
			if f, exact := l.file(path); f != nil {
				return m.fileTarget(up, r, l, f, path, exact)
			}
		}
	}
	for _, r := range known {
		for _, old := range firstN(r.oldSets(), 50) {
			l, err := m.load(ctx, up, old.ID)
			if err != nil {
				continue
			}
			if f, exact := l.file(path); f != nil && !exact {
				return m.fileTarget(up, r, l, f, path, false)
			}
		}
	}
	return nil
}

func firstN[T any](s []T, n int) []T { return s[:min(len(s), n)] }

// fileTarget is a file of metadata. One under a plain path changes with the
// set, so it has the set's time.
func (m *Mirror) fileTarget(up *upstream, r *root, l *loaded, f *File, path string, exact bool) *target {
	t := &target{up: up, path: path, want: want{digest: f.Digest, size: f.Size}, places: up.places(f.fetchPaths()...)}
	if exact {
		t.stamp = l.rec.Stamp
	}
	if rf := l.rootFile(f.Path); rf != nil {
		t.stamp = l.rec.Stamp
	}
	t.arrived = func() {
		m.fileArrived(up, l, f)
		if l.id != "" {
			m.repin(up, l, f.Digest)
		}
	}
	t.served = func() { r.use(f.Path) }
	t.gone = func() { r.doubt() }
	return t
}

// doubt has upstream asked again when the root is wanted next: it does not
// have what the current set names.
func (r *root) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checked = time.Time{}
}

// establish takes a first set for a path whose root no client has asked for.
// The root lies most often at the top of a suite, which is last in roots.
func (m *Mirror) establish(ctx context.Context, up *upstream, roots []string) []*root {
	for _, name := range roots[max(0, len(roots)-2):] {
		r, err := up.root(name)
		if err != nil {
			return nil
		}
		if _, _, err := r.fresh(ctx); err == nil {
			return []*root{r}
		}
	}
	return nil
}

// resolvePackage asks the indexes of all current sets, then those of earlier
// ones and the history, for clients whose lists are older.
func (m *Mirror) resolvePackage(ctx context.Context, up *upstream, path string, roots []string) (want, bool) {
	key := packageKey{up.Prefix, path}
	w, ok, era := m.resolved.get(key)
	if ok {
		return w, true
	}
	all := up.known(nil)
	var current []*loaded
	for _, r := range all {
		if l := r.peek(); l != nil {
			current = append(current, l)
		}
	}
	if w, ok := m.lookup(ctx, up, path, current...); ok {
		m.resolved.put(key, w, era)
		return w, true
	}
	if seen := m.history.find(byPath, up.Prefix+"\x00"+path+"\x00", 16); len(seen) > 0 {
		// Where there are several, the one that is at hand, else the latest.
		slices.SortStableFunc(seen, func(a, b Seen) int { return b.First.Compare(a.First) })
		for _, s := range seen {
			if m.store.has(s.Digest) {
				return want{digest: s.Digest, size: s.Size}, true
			}
		}
		return want{digest: seen[0].Digest, size: seen[0].Size}, true
	}
	for _, r := range all {
		for _, old := range firstN(r.oldSets(), 8) {
			if l, err := m.load(ctx, up, old.ID); err == nil {
				if w, ok := m.lookup(ctx, up, path, l); ok {
					return w, true
				}
			}
		}
	}
	return want{}, false
}

// maxRoots bounds the roots of one upstream.
const maxRoots = 2000

// root returns a root by its path, a new one where there is none.
func (up *upstream) root(path string) (*root, error) {
	up.mu.Lock()
	defer up.mu.Unlock()
	if r, ok := up.roots[path]; ok {
		return r, nil
	}
	if len(up.roots) >= maxRoots {
		return nil, fmt.Errorf("more than %d roots were asked for", maxRoots)
	}
	r := &root{up: up, path: path, used: map[string]time.Time{}}
	up.roots[path] = r
	return r, nil
}

// known returns the roots that have a set: those of names, or all.
func (up *upstream) known(names []string) []*root {
	up.mu.Lock()
	defer up.mu.Unlock()
	var out []*root
	if names == nil {
		for _, r := range up.roots {
			out = append(out, r)
		}
		slices.SortFunc(out, func(a, b *root) int { return strings.Compare(a.path, b.path) })
	}
	for _, n := range names {
		if r := up.roots[n]; r != nil {
			out = append(out, r)
		}
	}
	return slices.DeleteFunc(out, func(r *root) bool { return r.peek() == nil })
}

// bindings remember for a while which set a client has begun with. A client is
// a connection, or failing that a host: "host:port" in either case.
type bindings struct {
	mu sync.Mutex
	m  map[bindingKey]binding
}

type bindingKey struct {
	client string
	root   *root
}

type binding struct {
	set *loaded
	at  time.Time
}

const (
	maxBindings = 10_000
	keepBinding = 10 * time.Minute
)

func host(client string) string {
	if i := strings.LastIndexByte(client, ':'); i >= 0 {
		return client[:i]
	}
	return client
}

func (b *bindings) bind(client string, r *root, l *loaded) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.m == nil {
		b.m = map[bindingKey]binding{}
	}
	if len(b.m) >= maxBindings {
		b.dropOld(now.Add(-keepBinding))
	}
	if len(b.m) >= maxBindings {
		clear(b.m)
	}
	b.m[bindingKey{client, r}] = binding{l, now}
	b.m[bindingKey{host(client), r}] = binding{l, now}
}

func (b *bindings) dropOld(before time.Time) {
	for k, v := range b.m {
		if v.at.Before(before) {
			delete(b.m, k)
		}
	}
}

// bound returns the set that a client has begun with, or nil.
func (b *bindings) bound(client string, r *root) *loaded {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range []string{client, host(client)} {
		if v, ok := b.m[bindingKey{c, r}]; ok && time.Since(v.at) < keepBinding {
			return v.set
		}
	}
	return nil
}
