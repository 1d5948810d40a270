package fetch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// maxDrops is how many times a body that brought bytes and broke off is
	// taken up again before that counts as a failure.
	maxDrops = 8
	// maxBusy is how many times a source may say for one file that it is busy.
	maxBusy = 8
	// maxRests is how many pauses in a row a failing host is given. With
	// doubling pauses of half a second that outlives a short outage.
	maxRests = 5
	// maxProbe is how long other files wait for the first answer of a source.
	maxProbe = 2 * time.Second
	// distant is how long the answer of a host takes that is far away, where
	// it has nothing else to do for us.
	distant = 40 * time.Millisecond
	// rematch is how long a source that lost a race is not raced again. It
	// doubles each time.
	rematch = 4 * time.Second
)

// A board is what the files in flight know together: how each source and host
// fares, and so whom to ask next.
type board struct {
	policy  *Planner
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a choice may differ
	sources []*standing
}

// A host is a set of sources that share limits and outages.
type host struct {
	limits   Limits
	parallel int       // what limits.Parallel has come down to
	elastic  bool      // limits.Parallel may grow if the host is far away
	inFlight int       // requests that have a slot
	wins     int       // whole bodies since parallel last changed
	next     time.Time // when the next request may start
	rest     time.Time // until when nothing is asked
	restErr  error     // why
	rests    int       // pauses since the last whole body
	streak   int       // failures since the last whole body
	worked   bool      // it gave a whole body once
	testing  bool      // one request is out to see whether the host is well again
	dead     bool      // it is not asked again in this run
}

// A standing is how a source fares.
type standing struct {
	source     Source
	stacked    Source
	name       string
	host       *host
	routes     map[string]*route // by the archive as the lock names it
	lies, good int               // whole files
	trouble    Trouble
	place      int       // in the order of preference; races change it
	proven     bool      // it won the last race that it was in
	racing     int       // races that it is a rival in
	losses     int       // races lost since the last one won
	again      time.Time // when it may be a rival again
}

// A route is what is known of a source and an archive.
type route struct {
	hits, misses int
	probing      time.Time // since when the first answer is awaited; zero if not
	turns        int       // files that went elsewhere since the last miss
}

// A candidate is a source for one file.
type candidate struct {
	*standing
	req       Request
	tries     int // failures
	drops     int
	busy      int
	notBefore time.Time
	again     time.Time // when it may be a rival for this file again
	out       bool      // not to be asked for this file again
	held      bool      // a slot of the host
	testing   bool      // this request is the one that tests the host
}

// newBoard returns a board on which nothing is known yet. elastic says that
// hosts without limits of their own may be asked more if they are far away.
func newBoard(p *Planner, elastic bool) *board {
	b := &board{policy: p, changed: make(chan struct{})}
	hosts := map[string]*host{}
	for i, s := range p.Sources {
		l := limitsOf(s, p.PerHost)
		h := hosts[l.Host]
		if h == nil {
			h = &host{limits: l, elastic: elastic}
			hosts[l.Host] = h
		}
		// Of sources that share a host the most careful one decides.
		h.limits.Parallel = min(h.limits.Parallel, l.Parallel)
		h.limits.Every = max(h.limits.Every, l.Every)
		h.parallel = h.limits.Parallel
		h.elastic = h.elastic && limitsOf(s, 0).Parallel == 0
		st := &standing{source: s, name: s.Name(), host: h, place: i, routes: map[string]*route{}}
		st.trouble.Source = st.name
		st.stacked = stack(st, b, p)
		b.sources = append(b.sources, st)
	}
	return b
}

// candidates lists the sources that are worth asking for any of the requests,
// all of which are for the same bytes.
func (b *board) candidates(reqs []Request) []*candidate {
	var out []*candidate
	for _, s := range b.sources {
		for i, req := range reqs {
			same := func(r Request) bool {
				return r.Entry.Archive == req.Entry.Archive && r.Entry.Path == req.Entry.Path
			}
			if s.source.Serves(req.Entry) && !slices.ContainsFunc(reqs[:i], same) {
				out = append(out, &candidate{standing: s, req: req})
			}
		}
	}
	return out
}

func (s *standing) route(archive string) *route {
	r := s.routes[archive]
	if r == nil {
		r = &route{}
		s.routes[archive] = r
	}
	return r
}

func (c *candidate) route() *route { return c.standing.route(c.req.Entry.Archive.String()) }

// doubted reports whether the source has only ever missed, and it is not time
// to try it again. A source is asked for three files before it is doubted,
// since an old lock names some files that a good mirror has no more, and then
// ever more rarely.
func (r *route) doubted() bool {
	return r.hits <= 0 && r.misses >= 3 && r.turns < 1<<min(r.misses, 30)
}

// probed reports whether the answer to the first question is awaited.
func (r *route) probed() bool { return !r.probing.IsZero() && r.hits <= 0 && !r.doubted() }

// rank orders candidates before their given order counts.
func (c *candidate) rank() int {
	switch {
	case c.lies >= 2 && c.lies > c.good:
		return 2
	case c.route().doubted():
		return 1
	}
	return 0
}

// pick chooses whom to ask next for a file and takes a slot of its host. It
// waits while there is nobody to ask yet and returns nil when there will not
// be. The error is that of ctx.
func (b *board) pick(ctx context.Context, cands []*candidate) (*candidate, error) {
	for {
		b.mu.Lock()
		now := time.Now()
		c, until, wait := b.choose(cands, now)
		changed := b.changed
		b.mu.Unlock()
		if err := ctx.Err(); err != nil {
			if c != nil {
				b.release(c)
			}
			return nil, err
		}
		if c != nil || !wait {
			return c, nil
		}
		var alarm <-chan time.Time
		if !until.IsZero() {
			alarm = time.After(until.Sub(now))
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-alarm:
		}
	}
}

// choose goes through the candidates in order of preference. One that is
// resting or being tested is passed over for the next. One that is well but
// has no free slot is waited for: more load belongs on no other source, least
// of all on the keepers at the end of the list.
//
// It returns a candidate; or whether to wait for one, and until when if that
// is known.
func (b *board) choose(cands []*candidate, now time.Time) (c *candidate, until time.Time, wait bool) {
	sooner := func(t time.Time) {
		wait = true
		if until.IsZero() || t.Before(until) {
			until = t
		}
	}
	choices := 0
	for _, c := range cands {
		if b.usable(c, now) {
			choices++
		}
	}
	ordered := inOrder(cands)
	for _, c := range ordered {
		h, r := c.host, c.route()
		switch ready := later(c.notBefore, h.rest); {
		case !b.usable(c, now):
		case ready.After(now):
			sooner(ready)
		case h.testing:
			wait = true
		case choices > 1 && r.probed():
			// One file of an archive goes ahead of the others, until a source
			// has had one or is doubted: a source without the archive is not
			// asked by all at once, nor is the next one for what a good
			// source would have had.
			wait = true
			if answer := r.probing.Add(maxProbe); now.Before(answer) {
				sooner(answer)
				return nil, until, true
			}
		case h.inFlight >= h.parallel:
			return nil, until, true
		case h.next.After(now):
			sooner(h.next)
			return nil, until, true
		default:
			b.take(c, ordered, now)
			return c, time.Time{}, false
		}
	}
	return nil, until, wait
}

// inOrder sorts candidates by preference.
func inOrder(cands []*candidate) []*candidate {
	ordered := slices.Clone(cands)
	slices.SortStableFunc(ordered, func(a, b *candidate) int {
		return cmp.Or(a.rank()-b.rank(), a.place-b.place)
	})
	return ordered
}

// usable reports whether the candidate may give the file within reasonable
// time.
func (b *board) usable(c *candidate, now time.Time) bool {
	return !c.out && !c.host.dead && c.host.rest.Sub(now) <= b.policy.Patience
}

func (b *board) take(c *candidate, all []*candidate, now time.Time) {
	h := c.host
	h.inFlight++
	c.held = true
	h.next = now.Add(h.limits.Every)
	if h.rests > 0 {
		h.testing, c.testing = true, true
	}
	if r := c.route(); r.hits <= 0 {
		r.probing = now
		r.turns = 0
	}
	for _, other := range all {
		if r := other.route(); other != c && !other.out && r.doubted() {
			r.turns++
		}
	}
}

func (b *board) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// release gives back what pick took.
func (b *board) release(c *candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(c)
	b.wake()
}

func (b *board) drop(c *candidate) {
	if !c.held {
		return
	}
	c.held = false
	c.host.inFlight--
	if c.testing {
		c.testing, c.host.testing = false, false
	}
	c.route().probing = time.Time{}
}

// opened notes that a source has a file of an archive, and how long it took
// to answer.
func (b *board) opened(s *standing, archive string, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := s.host; h.elastic && h.inFlight == 1 && took >= distant && h.parallel == h.limits.Parallel {
		h.elastic = false
		h.limits.Parallel = max(h.limits.Parallel, b.policy.Parallel)
		h.parallel = h.limits.Parallel
	}
	r := s.route(archive)
	r.hits++
	r.probing = time.Time{}
	b.wake()
}

// leftovers tells why sources that were not asked for a file were not.
func (b *board) leftovers(cands []*candidate) []Attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Attempt
	for _, c := range cands {
		switch {
		case c.out || c.tries+c.busy+c.drops > 0:
		case c.host.dead:
			out = append(out, Attempt{c.name, fmt.Errorf("not asked any more after it failed again and again: %w", c.host.restErr)})
		case c.host.restErr != nil:
			out = append(out, Attempt{c.name, fmt.Errorf("not asked, since it wants to be left alone for long; try again later: %w", c.host.restErr)})
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
