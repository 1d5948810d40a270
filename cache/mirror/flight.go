package mirror

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// holdBack is how many bytes of a file stay with the mirror until the digest
// of all of them is known to be right, and how many must be there before any
// is sent.
const holdBack = 64 << 10

// A flight is a file on its way from upstream into the store, for however many
// clients. It goes on when they leave.
type flight struct {
	key    string
	want   want
	up     *upstream
	places []place
	// path is what the file is called in records and to Check.
	path string

	mu   sync.Mutex
	wake chan struct{} // closed, and replaced, whenever something changed
	file *os.File      // the growing file
	refs int           // who reads file
	size int64         // of the whole file, or -1 while it is not known
	have int64         // bytes that are there
	gen  int           // counts how often all bytes were taken back
	done bool
	err  error // set when done
	got  lockfile.Digest

	told  time.Time   // when those who wait were woken last
	later *time.Timer // wakes them; nil where they know all
}

// A place is where a file may be had.
type place struct {
	source fetch.Source
	path   string
}

// fly returns the flight for a file, which it starts where there is none.
func (m *Mirror) fly(up *upstream, w want, path string, places []place) *flight {
	f, _ := m.board(up, w, path, places)
	return f
}

// board is fly that also tells whether the flight had begun before.
func (m *Mirror) board(up *upstream, w want, path string, places []place) (f *flight, begun bool) {
	key := w.digest.String()
	if w.digest.IsZero() {
		key = up.Prefix + "\x00" + path + "\x00" + string(w.identity[:])
	}
	m.flightMu.Lock()
	defer m.flightMu.Unlock()
	if f, ok := m.flights[key]; ok {
		return f, true
	}
	f = &flight{key: key, want: w, up: up, places: places, path: path, size: w.size, wake: make(chan struct{}), refs: 1}
	m.flights[key] = f
	m.background.Go(func() { f.run(m.ctx, m) })
	return f, false
}

// flying reports whether a file is on its way.
func (m *Mirror) flying(d lockfile.Digest) bool {
	m.flightMu.Lock()
	defer m.flightMu.Unlock()
	return m.flights[d.String()] != nil
}

func (f *flight) run(ctx context.Context, m *Mirror) {
	got, err := f.fetch(ctx, m)
	if err == nil {
		f.land(ctx, m, got)
	}
	// From now on new clients look into the store, or start another flight.
	m.flightMu.Lock()
	delete(m.flights, f.key)
	m.flightMu.Unlock()
	f.change(func() { f.done, f.err, f.got = true, err, got })
	f.leave()
}

// land notes that the file is in the store, and opens it once for all who wait
// for it.
func (f *flight) land(ctx context.Context, m *Mirror, got lockfile.Digest) {
	m.share.arrived(got)
	f.mu.Lock()
	alone := f.refs == 1
	f.mu.Unlock()
	if alone {
		return
	}
	file, info, err := m.store.open(ctx, got)
	if err != nil {
		return
	}
	if h, err := newHotFile(got, file, info.Size()); err == nil {
		m.hot.put(got, h)
		h.release()
	}
}

// change does something under the lock and wakes all who wait.
func (f *flight) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.tell()
}

// tell wakes all who wait. The caller has f.mu.
func (f *flight) tell() {
	if f.later != nil {
		f.later.Stop()
		f.later = nil
	}
	f.told = time.Now()
	close(f.wake)
	f.wake = make(chan struct{})
}

// tellEvery is how long bytes that have come may wait for more before those who
// wait are told of them. To send a file in pieces as they come costs every
// client much more than to send it whole.
const tellEvery = 2 * time.Millisecond

// grew notes how many bytes are there.
func (f *flight) grew(have int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.have = have
	if have < holdBack || f.later != nil {
		return // nothing of it can be sent, or all will be told of it soon
	}
	wait := tellEvery - time.Since(f.told)
	if wait <= 0 {
		f.tell()
		return
	}
	var later *time.Timer
	later = time.AfterFunc(wait, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.later == later {
			f.tell()
		}
	})
	f.later = later
}

// join claims the growing file; leave gives it up, and the last one closes it.
func (f *flight) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refs++
}

func (f *flight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refs--; f.refs == 0 && f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// wait waits for the end of the flight, or of ctx.
func (f *flight) wait(ctx context.Context) (lockfile.Digest, error) {
	for {
		v := f.view()
		if v.done {
			return v.got, v.err
		}
		select {
		case <-v.wake:
		case <-ctx.Done():
			return lockfile.Digest{}, ctx.Err()
		}
	}
}

// A view is a flight at one moment.
type view struct {
	wake       <-chan struct{}
	file       *os.File
	size, have int64
	gen        int
	done       bool
	err        error
	got        lockfile.Digest
}

func (f *flight) view() view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return view{f.wake, f.file, f.size, f.have, f.gen, f.done, f.err, f.got}
}

// sendable is how many bytes of the file may be handed to someone who wants
// those before end.
func (v view) sendable(end int64) int64 {
	if v.done && v.err == nil {
		return end
	}
	if v.have < holdBack {
		return 0 // the few bytes of an error page would have to be taken back
	}
	return max(0, min(v.have, end-holdBack))
}

// fetch fills in the file and returns its digest.
func (f *flight) fetch(ctx context.Context, m *Mirror) (lockfile.Digest, error) {
	if err := ctx.Err(); err != nil {
		return f.want.digest, err // the mirror is closed
	}
	if f.want.digest.IsZero() {
		return f.fetchIdentity(ctx, m)
	}
	c, release := m.store.acquire()
	defer release()
	p, err := c.Begin(ctx, f.want.digest)
	if err != nil || p == nil { // it is there, by another process: its bytes are checked when they are served
		return f.want.digest, err
	}
	defer p.Close()
	file, err := os.Open(m.store.partialPath(f.want.digest))
	if err != nil {
		return f.want.digest, err
	}
	f.change(func() { f.file = file })
	if err := f.fill(ctx, m, p); err != nil {
		return f.want.digest, err
	}
	m.store.arrived(f.want.digest)
	return f.want.digest, nil
}

// progress is a fetch.Partial that tells the flight of what happens to it.
type progress struct {
	fetch.Partial
	f *flight
	m *Mirror
}

func (p progress) Write(b []byte) (int, error) {
	n, err := p.Partial.Write(b)
	p.m.count.bytesFetched.Add(int64(n))
	p.f.grew(p.Offset())
	return n, err
}

func (p progress) Reset() error {
	if p.Offset() > 0 {
		p.f.change(func() { p.f.gen++; p.f.have = 0 })
	}
	return p.Partial.Reset()
}

// Commit drops bytes that turn out to be wrong; who was sent some must know.
func (p progress) Commit() error {
	size := p.Offset()
	pkg, err := p.f.check(p.m, size)
	if err != nil {
		return errors.Join(err, p.Reset())
	}
	commit := p.Partial.Commit
	if d := p.f.want.digest; !d.IsZero() { // else it does this itself
		commit = func() error { return p.m.store.commit(d, p.Partial.Commit) }
	}
	if err = commit(); err == nil {
		p.f.learn(p.m, pkg, size)
	}
	if errors.As(err, new(*lockfile.DigestError)) {
		p.f.change(func() { p.f.gen++; p.f.have = 0 })
	}
	return err
}
