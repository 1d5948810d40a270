package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/lockfile"
)

// publishTries is how often a root is written again that others write too.
const publishTries = 10

// A sharedRoot is what the store has of a root.
type sharedRoot struct {
	Current string `json:"current"` // the id of a set
	// Used are the files of the sets that clients ask for, and when they did
	// last.
	Used map[string]string `json:"used,omitempty"`
}

// A rootGate lets one at a time make a set of a root the current one.
type rootGate struct {
	turn *turn
	mu   sync.Mutex
	used map[string]string // as the store has it

	// tried is the set of the store that could not be had, at triedAt. They
	// are for who has the turn.
	tried   string
	triedAt time.Time
}

func (s *sharing) gate(r *root) *rootGate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gates[r]
	if g == nil {
		g = &rootGate{turn: newTurn()}
		s.gates[r] = g
	}
	return g
}

// objectName is a name as part of a key.
func objectName(s string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(s)
}

func rootKey(r *root) string {
	return "roots/" + objectName(r.up.Prefix) + "/" + objectName(r.path) + ".json"
}

// parseRootKey is the reverse of rootKey.
func parseRootKey(key string) (prefix, path string, ok bool) {
	key, ok1 := strings.CutPrefix(key, "roots/")
	key, ok2 := strings.CutSuffix(key, ".json")
	prefix, path, ok3 := strings.Cut(key, "/")
	prefix, err1 := url.PathUnescape(prefix)
	path, err2 := url.PathUnescape(path)
	return prefix, path, ok1 && ok2 && ok3 && errors.Join(err1, err2) == nil && lockfile.CheckPath(path) == nil
}

// parseRoot reads a root as the store has it.
func parseRoot(data []byte) (sr sharedRoot, err error) {
	if err := json.Unmarshal(data, &sr); err != nil {
		return sr, fmt.Errorf("%w: %v", share.ErrDamaged, err)
	}
	if !isSetID(sr.Current) || len(sr.Used) > maxUsed {
		return sr, fmt.Errorf("%w: it names no set, or too many files", share.ErrDamaged)
	}
	for path, day := range sr.Used {
		if _, err := time.Parse(usedForm, day); err != nil || lockfile.CheckPath(path) != nil {
			return sr, fmt.Errorf("%w: it names files in a way that no mirror does", share.ErrDamaged)
		}
	}
	return sr, nil
}

// pointer gets a root from the store, and its tag. One that is not there or is
// damaged is zero.
func (s *sharing) pointer(ctx context.Context, r *root) (sr sharedRoot, tag string, err error) {
	data, tag, err := s.get(ctx, "root", rootKey(r))
	if err == nil {
		sr, err = parseRoot(data)
	}
	if errors.Is(err, share.ErrDamaged) {
		s.tellBad(rootKey(r), err)
		sr, err = sharedRoot{}, nil
	}
	if missing(err) {
		err = nil
	}
	if err == nil {
		g := s.gate(r)
		g.mu.Lock()
		g.used = sr.Used
		g.mu.Unlock()
		r.takeUsed(sr.Used)
	}
	return sr, tag, err
}

// theirs returns the set that the store has as the current one; nil where it
// has none that can be read.
func (s *sharing) theirs(ctx context.Context, r *root, id string) (*record, error) {
	if id == "" {
		return nil, nil
	}
	rec, err := s.record(ctx, id)
	if err == nil && (rec.Prefix != r.up.Prefix || rec.Root != r.path) {
		rec, err = nil, fmt.Errorf("%w: %s names a set of %s/%s", share.ErrDamaged, rootKey(r), clean(rec.Prefix), clean(rec.Root))
	}
	if errors.Is(err, share.ErrDamaged) || missing(err) {
		s.tellBad(setKey(id), err)
		return nil, nil
	}
	return rec, err
}

// later compares two sets of one root: by their dates, then by their stamps.
func later(a, b *record) int {
	if c := a.Date.Compare(b.Date); c != 0 {
		return c
	}
	return a.Stamp.Compare(b.Stamp)
}

func sameFiles(a, b *record) bool {
	return slices.EqualFunc(a.Files, b.Files, func(a, b rootFile) bool { return a.Path == b.Path && a.Digest == b.Digest })
}

// look sees to it that the current set is no earlier than that of any other
// mirror: a client that asked another one before must not go back in time.
func (s *sharing) look(ctx context.Context, r *root) {
	if s == nil || s.m.offline.Load() || s.down() {
		return
	}
	_ = s.gate(r).turn.do(ctx, func() {
		// Others wait for the same, so it does not end with this client.
		ctx, cancel := context.WithTimeout(s.m.ctx, shareTime)
		defer cancel()
		if err := s.reconcile(ctx, r, false); err != nil && ctx.Err() == nil {
			s.m.config.Log.Warn("cannot agree with the store on a set", "prefix", r.up.Prefix, "root", r.path, "error", err)
		}
	})
}

// lookFor looks for a client that asks for a path of a set: one that has begun
// with a set here is served from that.
func (s *sharing) lookFor(ctx context.Context, client string, roots []*root, path string) {
	if s == nil || s.down() {
		return
	}
	for _, r := range roots {
		if l := s.m.bindings.bound(client, r); l != nil {
			if f, _ := l.file(path); f != nil {
				return
			}
		}
		if l := r.peek(); l != nil {
			if f, exact := l.file(path); f != nil && !exact {
				return // no other set has another file by this name
			}
		}
	}
	for _, r := range roots {
		s.look(ctx, r)
	}
}

// reconcile takes over the set that the store has, if it is later, or puts
// there the one that this mirror has; with write also which files are used.
func (s *sharing) reconcile(ctx context.Context, r *root, write bool) error {
	lookCtx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	sr, tag, err := s.pointer(lookCtx, r)
	if err != nil {
		return err
	}
	current := r.peek()
	if current == nil && sr.Current == "" {
		return nil
	}
	if current == nil || current.id != sr.Current {
		rec, err := s.theirs(lookCtx, r, sr.Current)
		if err != nil || rec == nil && current == nil {
			return err
		}
		if current == nil || rec != nil && later(rec, current.rec) > 0 {
			return s.adopt(ctx, r, sr.Current, rec)
		}
		if rec != nil && later(rec, current.rec) == 0 {
			return nil
		}
		if err := s.putSet(ctx, current); err != nil {
			return err
		}
	} else if !write {
		return nil
	}
	if err := s.point(ctx, r, current.id, sr.Used, tag); !errors.Is(err, share.ErrConflict) {
		return err
	}
	return nil // another one did; the next look finds it
}

// adopt makes a set of the store the current one. One that could not be had is
// not asked for again at once. The caller has the root's turn.
func (s *sharing) adopt(ctx context.Context, r *root, id string, rec *record) error {
	g := s.gate(r)
	if g.tried == id && time.Since(g.triedAt) < retryAfter {
		return nil
	}
	next, err := s.fetchSet(ctx, r, id, rec)
	if err != nil {
		g.tried, g.triedAt = id, time.Now()
		return err
	}
	return r.commit(ctx, next)
}

// commit makes a set that was just taken from upstream the current one, in the
// store before any client sees it; or one there that is as good. A store in
// trouble keeps nobody from a new set.
func (s *sharing) commit(ctx context.Context, r *root, next *loaded) error {
	if s == nil {
		r.stamp(next, nil)
		return r.commit(ctx, next)
	}
	g := s.gate(r)
	if err := g.turn.take(ctx); err != nil {
		return err
	}
	defer g.turn.give()
	r.stamp(next, nil)
	if !s.down() {
		shareCtx, cancel := context.WithTimeout(ctx, shareTime)
		defer cancel()
		other, err := s.publish(shareCtx, r, next)
		if err != nil {
			s.m.config.Log.Warn("a set could not be put into the store", "prefix", r.up.Prefix, "root", r.path, "error", err)
		} else if other != nil {
			next = other
		}
	}
	if current := r.peek(); current != nil && (current.id == next.rec.id() || next.rec.Date.Before(current.rec.Date)) {
		return nil // it came by way of the store meanwhile
	}
	return r.commit(ctx, next)
}

// publish makes a set the current one in the store, or returns the one there
// that is as good. Its stamp is moved behind that of the one which it replaces.
func (s *sharing) publish(ctx context.Context, r *root, next *loaded) (other *loaded, err error) {
	for range publishTries {
		sr, tag, err := s.pointer(ctx, r)
		if err != nil {
			return nil, err
		}
		rec, err := s.theirs(ctx, r, sr.Current)
		if err != nil {
			return nil, err
		}
		if rec != nil && (rec.Date.After(next.rec.Date) || sameFiles(rec, next.rec)) {
			return s.fetchSet(ctx, r, sr.Current, rec)
		}
		r.stamp(next, rec)
		if err := s.putSet(ctx, next); err != nil {
			return nil, err
		}
		if err = s.point(ctx, r, next.rec.id(), sr.Used, tag); !errors.Is(err, share.ErrConflict) {
			if err == nil {
				poke(s.kick)
			}
			return nil, err
		}
	}
	return nil, share.ErrConflict
}

// point writes a root. used is what the store has of the files in use.
func (s *sharing) point(ctx context.Context, r *root, id string, used map[string]string, tag string) error {
	sr := sharedRoot{Current: id, Used: map[string]string{}}
	oldest := oldestUse()
	for _, from := range []map[string]string{used, r.usedDays()} {
		for path, day := range from {
			if day >= oldest && len(sr.Used) < maxUsed {
				sr.Used[path] = max(sr.Used[path], day)
			}
		}
	}
	data, err := json.Marshal(sr)
	if err != nil {
		return err
	}
	_, err = s.store.Put(ctx, rootKey(r), share.Seal("root", data), tag)
	if s.note(err) == nil {
		g := s.gate(r)
		g.mu.Lock()
		g.used = sr.Used
		g.mu.Unlock()
	}
	return err
}
