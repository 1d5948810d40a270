package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/lockfile"
)

const (
	// shareEvery is how often others are asked for what they added, and
	// shareAll how often also where nobody says that something was.
	shareEvery = 5 * time.Second
	shareAll   = 10 * time.Minute
	// shareAgain is how long what failed is left alone.
	shareAgain = time.Minute
	// shareTime bounds what a refresh may have to wait for a store, lookTime
	// what a client may.
	shareTime = 30 * time.Second
	lookTime  = 5 * time.Second
	// startTime is how long a start waits to hear of the store.
	startTime = 2 * time.Second
	shareDir  = "share" // in the state
)

// StoreStatus is the store that a mirror shares with others.
type StoreStatus struct {
	Name    string    `json:"name"`
	Error   string    `json:"error,omitempty"` // why it cannot be used now
	Since   time.Time `json:"since,omitzero"`  // when that began
	Queued  int       `json:"queued"`          // blobs that are yet to be uploaded
	Hits    int64     `json:"hits"`            // files that came from it
	Uploads int64     `json:"uploads"`         // files that were handed to it
	Bad     int64     `json:"bad"`             // objects that are not what they should be
}

// sharing is a mirror's side of a store. A nil one does nothing.
type sharing struct {
	m     *Mirror
	store share.Store
	dir   string // in the state, for this store
	kick  chan struct{}
	wake  chan struct{}

	mu      sync.Mutex
	probed  bool // the store is known to heed conditions
	failed  error
	since   time.Time
	queue   map[lockfile.Digest]bool
	damaged map[lockfile.Digest]bool // blobs that are bad in the store
	gates   map[*root]*rootGate
	badTags map[string]string // why objects are bad that were told to be

	hits, uploads, badCount atomic.Int64

	// turn is held by a round; what follows is its own.
	turn     *turn
	feeds    []*feed
	pinTags  map[string]string
	rootTags map[string]string
	pulse    string    // the tag at the last whole round
	whole    time.Time // when that was
	// sentSnapshots is how many of those here are known to be in the store.
	sentSnapshots int
}

// openShare begins to share. Only a store that ignores conditions is refused;
// one that cannot be reached is asked again later.
func (m *Mirror) openShare() error {
	if m.config.Share == nil {
		return nil
	}
	s := &sharing{m: m, store: m.config.Share, turn: newTurn(), kick: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		queue: map[lockfile.Digest]bool{}, damaged: map[lockfile.Digest]bool{}, gates: map[*root]*rootGate{},
		rootTags: map[string]string{}, badTags: map[string]string{}}
	// What was handed over is remembered for each store.
	s.dir = path.Join(shareDir, lockfile.DigestOf([]byte(s.store.Name())).String()[:16])
	for _, dir := range []string{queueDir, pinsDue} {
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := s.openQueue(); err != nil {
		return err
	}
	s.openFeeds()
	ctx, cancel := context.WithTimeout(m.ctx, startTime)
	defer cancel()
	if err := s.usable(ctx); errors.Is(err, share.ErrUnconditional) {
		return err
	}
	m.share = s
	m.background.Go(func() { s.every(shareEvery, s.kick, s.round) })
	m.background.Go(func() { s.every(shareEvery, s.wake, s.uploadQueue) })
	m.background.Go(func() { s.every(upkeepLook, nil, s.upkeep) })
	return nil
}

// path is that of a file of the state.
func (s *sharing) path(name string) string { return s.m.state.path(s.dir, name) }

// file is its name within the state.
func (s *sharing) file(name string) string { return s.dir + "/" + name }

// usable makes sure that the store heeds conditions.
func (s *sharing) usable(ctx context.Context) error {
	s.mu.Lock()
	probed := s.probed
	s.mu.Unlock()
	if probed {
		return nil
	}
	err := s.note(share.Probe(ctx, s.store))
	if err == nil {
		s.mu.Lock()
		s.probed = true
		s.mu.Unlock()
	}
	return err
}

// note remembers how the store answered last.
func (s *sharing) note(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	failed := err
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, share.ErrConflict) || errors.Is(err, share.ErrTooLarge) {
		failed = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if (failed == nil) != (s.failed == nil) {
		s.since = time.Now()
		if failed != nil {
			s.m.config.Log.Warn("the store cannot be used, the mirror goes on alone", "store", s.store.Name(), "error", failed)
		} else {
			s.m.config.Log.Info("the store can be used again", "store", s.store.Name())
			poke(s.wake)
		}
	}
	s.failed = failed
	return err
}

// down reports whether the store failed when it was asked last. Then nobody
// but the rounds asks it.
func (s *sharing) down() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed != nil || !s.probed
}

// status is nil where nothing is shared.
func (s *sharing) status() *StoreStatus {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &StoreStatus{Name: s.store.Name(), Queued: len(s.queue), Hits: s.hits.Load(), Uploads: s.uploads.Load(), Bad: s.badCount.Load()}
	if s.failed != nil {
		st.Error, st.Since = s.failed.Error(), s.since
	}
	return st
}

// health is a line for /healthz about a store that cannot be used.
func (s *sharing) health() string {
	st := s.status()
	if st == nil || st.Error == "" {
		return ""
	}
	return "the store " + st.Name + " cannot be used since " + st.Since.UTC().Format(time.RFC3339) + "\n"
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// every does something again and again until the mirror is closed.
func (s *sharing) every(pause time.Duration, sooner chan struct{}, do func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if err := do(s.m.ctx); err != nil && s.m.ctx.Err() == nil {
			s.m.config.Log.Debug("share", "error", err)
		}
		select {
		case <-s.m.ctx.Done():
			return
		case <-tick.C:
		case <-sooner:
		}
	}
}

// round hands over what was added here, and takes what others have added.
func (s *sharing) round(ctx context.Context) (err error) {
	_ = s.turn.do(ctx, func() { _, err = s.exchange(ctx) })
	return err
}

// exchange is a round; it tells whether others had added something.
func (s *sharing) exchange(ctx context.Context) (came bool, err error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	sent, err := s.hand(ctx)
	if sent {
		err = errors.Join(err, s.beat(ctx))
	}
	tag, pulseErr := s.pulseTag(ctx)
	if pulseErr != nil {
		return false, errors.Join(err, pulseErr)
	}
	if tag == s.pulse && time.Since(s.whole) < shareAll {
		return false, err
	}
	began := time.Now()
	takeErr := errors.Join(s.takeFeeds(ctx), s.takePins(ctx), s.takeSnapshots(ctx), s.takeRoots(ctx))
	if takeErr == nil {
		s.pulse, s.whole = tag, began
	} else if !s.down() && ctx.Err() == nil {
		s.pulse, s.whole = tag, began.Add(shareAgain-shareAll)
	}
	return true, errors.Join(err, takeErr)
}

// hand hands over what was added here.
func (s *sharing) hand(ctx context.Context) (sent bool, err error) {
	var errs []error
	for _, f := range []func(context.Context) (bool, error){s.sendFeeds, s.sendPins, s.sendSnapshots, s.sendRoots} {
		some, err := f(ctx)
		sent, errs = sent || some, append(errs, err)
	}
	return sent, errors.Join(errs...)
}

// pulseKey is written after something was added, so that who waits for that
// need not look at more than one object.
const pulseKey = "pulse"

// pulseTag is empty where there is none. What the pulse says does not matter.
func (s *sharing) pulseTag(ctx context.Context) (string, error) {
	_, tag, err := s.store.Get(ctx, pulseKey)
	if s.note(err); missing(err) || errors.Is(err, share.ErrTooLarge) {
		err = nil
	}
	return tag, err
}

func (s *sharing) beat(ctx context.Context) error {
	tag, err := s.pulseTag(ctx)
	if err != nil {
		return err
	}
	_, err = s.store.Put(ctx, pulseKey, []byte(time.Now().UTC().Format(time.RFC3339Nano)), tag)
	if s.note(err); errors.Is(err, share.ErrConflict) {
		return nil // another one did, later than what was added here
	}
	return err
}

// learn takes what others have added, for a client that asks for what is not
// known here. It reports whether there may be something new.
func (s *sharing) learn(ctx context.Context) bool {
	if s == nil || s.m.offline.Load() || s.down() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	done := make(chan bool, 1)
	s.m.background.Go(func() {
		came := true // where another one does it
		_ = s.turn.do(ctx, func() { came, _ = s.exchange(s.m.ctx) })
		done <- came
	})
	select {
	case came := <-done:
		return came
	case <-ctx.Done():
		return false
	}
}

// A turn is had by one at a time, and what it does serves all who asked for it
// before it began.
type turn struct {
	held  chan struct{}
	begun atomic.Int64
	ended int64 // for who has the turn
}

func newTurn() *turn { return &turn{held: make(chan struct{}, 1)} }

// take waits for the turn.
func (t *turn) take(ctx context.Context) error {
	select {
	case t.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) give() { <-t.held }

// do does f, unless another one does it after do was called. The error is that
// of ctx, which bounds the wait.
func (t *turn) do(ctx context.Context, f func()) error {
	asked := t.begun.Load()
	if err := t.take(ctx); err != nil {
		return err
	}
	defer t.give()
	if t.ended > asked {
		return nil
	}
	n := t.begun.Add(1)
	f()
	t.ended = n
	return nil
}
