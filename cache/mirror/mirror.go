package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// A Mirror is the handler and all that it keeps. Its methods may be called
// concurrently.
type Mirror struct {
	// Home answers "/" for browsers; nil for a few lines of text. It is set
	// before the first request.
	Home http.Handler

	config     Config
	store      *store
	state      *state
	journal    *journal
	historyMu  sync.Mutex // held while the history is added to
	history    *history
	identities *identities
	upstreams  []*upstream
	byPrefix   map[string]*upstream
	rootClient *http.Client

	ctx        context.Context // ends when the Mirror is closed
	stop       context.CancelFunc
	background crew

	flightMu sync.Mutex
	flights  map[string]*flight

	loadMu     sync.Mutex
	loadedSets map[string]*loaded

	makings    makings
	indexSlots chan struct{} // held while an index is read
	feedSlot   chan struct{} // held while the history learns of one
	resolved   resolvedCache
	bindings   bindings
	hot        hotFiles
	share      *sharing // nil where nothing is shared
	pinMu      sync.Mutex
	evictMu    sync.Mutex // held while something is evicted
	snapshots  snapshots
	offline    atomic.Bool
	count      counters
}

// Open opens a mirror with what it has kept, which takes no longer for a large
// store than for a small one.
func Open(config Config) (*Mirror, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	m := &Mirror{config: config, byPrefix: map[string]*upstream{}, flights: map[string]*flight{},
		loadedSets: map[string]*loaded{}, indexSlots: make(chan struct{}, 2), feedSlot: make(chan struct{}, 1),
		makings: makings{m: map[string]*making{}, wake: make(chan struct{})}}
	m.offline.Store(config.Offline)
	m.rootClient = &http.Client{Transport: config.Client.Transport(), CheckRedirect: checkRedirect}
	m.ctx, m.stop = context.WithCancel(context.Background())
	if err := m.open(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := m.openShare(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.background.Go(m.feedLeft)
	m.background.Go(m.housekeeping)
	return m, nil
}

// checkRedirect keeps what is secret from other hosts: http.Client passes on
// neither logins nor cookies, and where it came from is nobody's business.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("redirected more than 10 times")
	}
	req.Header.Del("Referer")
	if u := req.URL; u.Scheme != via[0].URL.Scheme && via[0].URL.Scheme == "https" {
		return fmt.Errorf("redirected from https to %s", u.Scheme)
	}
	return nil
}

func (m *Mirror) open() (err error) {
	if m.state, err = openState(m.config.State); err != nil {
		return err
	}
	if m.store, err = openStore(m.config.Cache); err != nil {
		return err
	}
	lines, err := openLines(m.state.path(journalFile))
	if err != nil {
		return err
	}
	m.journal = &journal{lines}
	if m.history, err = openHistory(m.state.path(historyFile), m.state.path(historyIndex)); err != nil {
		return err
	}
	if m.identities, err = openIdentities(m.state.path(identityFile)); err != nil {
		return err
	}
	if err := m.snapshots.open(m.state); err != nil {
		return err
	}
	for _, conf := range m.config.Upstreams {
		up, err := newUpstream(m, conf)
		if err == nil {
			err = m.restore(up)
		}
		if err != nil {
			return fmt.Errorf("upstream %q: %w", conf.Prefix, err)
		}
		m.upstreams = append(m.upstreams, up)
		m.byPrefix[conf.Prefix] = up
	}
	return nil
}

// restore loads the current sets of an upstream. One that cannot be read any
// more, since its blobs were deleted, say, is told and fetched again.
func (m *Mirror) restore(up *upstream) error {
	states, err := m.state.loadRoots(up.Prefix)
	if err != nil {
		return err
	}
	for path, rs := range states {
		r, err := up.root(path)
		if err != nil {
			return err
		}
		r.old = rs.Old
		for _, u := range rs.Used {
			r.used[u.Path] = u.Last
		}
		if r.current, err = m.load(m.ctx, up, rs.Current); err != nil {
			m.config.Log.Warn("a set is lost and will be fetched again", "prefix", up.Prefix, "root", path, "error", err)
		}
	}
	return nil
}

// Close ends all that goes on and closes the store. Clients that are being
// served see their connections break off: shut the server down first.
func (m *Mirror) Close() error {
	m.stop()
	m.background.Wait()
	m.hot.clear()
	var errs []error
	if m.history != nil {
		errs = append(errs, m.history.close())
	}
	if m.journal != nil {
		errs = append(errs, m.journal.lines.close())
	}
	if m.identities != nil {
		errs = append(errs, m.identities.lines.close())
	}
	if m.store != nil {
		errs = append(errs, m.store.close())
	}
	if m.state != nil {
		errs = append(errs, m.state.close())
	}
	return errors.Join(errs...)
}

// SetOffline has the mirror ask no upstream, or ask them again.
func (m *Mirror) SetOffline(offline bool) { m.offline.Store(offline) }

// Refresh asks upstream for all roots that are mirrored and returns when each
// is fresh. The error joins those of roots that could not be refreshed.
func (m *Mirror) Refresh(ctx context.Context) error {
	var errs []error
	for _, up := range m.upstreams {
		for _, r := range up.known(nil) {
			r.doubt()
			if _, stale, err := r.fresh(ctx); stale != nil || err != nil {
				errs = append(errs, fmt.Errorf("%s/%s: %w", up.Prefix, r.path, errors.Join(stale, err)))
			}
		}
	}
	return errors.Join(errs...)
}

// Add takes a root into the mirror as if a client had asked for it, such as
// "dists/bookworm/InRelease" of the upstream with the prefix "debian".
func (m *Mirror) Add(ctx context.Context, prefix, rootPath string) error {
	up := m.byPrefix[prefix]
	if up == nil {
		return fmt.Errorf("no upstream has the prefix %q", prefix)
	}
	roots, begins := up.Format.Roots(rootPath)
	if !begins {
		return fmt.Errorf("%s is no root of a set", rootPath)
	}
	r, err := up.root(roots[0])
	if err != nil {
		return err
	}
	_, stale, err := r.fresh(ctx)
	return errors.Join(stale, err)
}

// shownURL is a URL for people, without its login.
func shownURL(u *url.URL) string {
	c := *u
	c.User = nil
	return c.String()
}

// stampOf is the Last-Modified of a file that never changes under its name. It
// follows from the digest: the second number (the first 8 bytes, modulo the
// number of seconds) of the years 1990 to 2019. Two contents that a path has
// had one after the other would share one once in 946 million times; the files
// that do change under their names (roots, and what is named without its
// digest) therefore have the time of their set, which is never had by two.
func stampOf(digest [32]byte) time.Time {
	const from, seconds = 631152000, 946684800 // of 1990-01-01, and 30 years
	var n uint64
	for _, b := range digest[:8] {
		n = n<<8 | uint64(b)
	}
	return time.Unix(from+int64(n%seconds), 0).UTC()
}
