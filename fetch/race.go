package fetch

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// glance is how often a request is looked at.
	glance = 20 * time.Millisecond
	// lateAfter is how much longer a file, or the run at its pace, may take
	// before another source is tried.
	lateAfter = 500 * time.Millisecond
	// lateProven is the same where a source has won a race in this run.
	lateProven = 100 * time.Millisecond
	// swift is the rate in bytes a second at which nobody is late. What limits
	// beyond it is most often not the source.
	swift = 16 << 20
	// glances is over how many of them a rate is taken.
	glances = 50
	// advantage is how many times faster a source must be to win a race, so
	// that the given order decides among those that are much the same.
	advantage = 2
)

// slowError says that a source was left for a faster one.
type slowError struct {
	rate   float64 // bytes a second
	faster string
}

func (e *slowError) Error() string {
	return fmt.Sprintf("slow: %.1f KB/s, and left for %s", e.rate/1000, e.faster)
}

// A race watches one request of a job. While it is late another source is
// asked for the same bytes, at most one at a time. The winner goes on from the
// bytes that are there, and the loser's request is cancelled.
type race struct {
	job       *job
	candidate *candidate // whose request it is
	rivals    []*candidate
	cancel    context.CancelCauseFunc // ends that request
	end       context.CancelFunc      // ends the watch
	done      chan struct{}           // closed when the watch has ended

	// These are the watch's until done is closed.
	lead   *lead     // who won
	failed []Attempt // who did not give what they were asked for

	mu     sync.Mutex
	begun  time.Time
	offset int64 // of the next byte that is lacking
	size   int64 // of the file, or -1
	now    mark
	since  time.Time // when the read that is under way began; zero if none is
	marks  []mark    // the last glances
}

// A mark is how many bytes had arrived after how long a wait for them. The
// time that the reader takes to store what it read does not count.
type mark struct {
	bytes  int64
	waited time.Duration
}

// A lead is a body whose first bytes have been read already.
type lead struct {
	*candidate
	body   *Body
	offset int64   // of head in the file
	buf    *[]byte // of the run's pool
	head   []byte
	err    error // that the body gave after head: io.EOF or nil
	cancel context.CancelFunc
}

// watch begins to watch a request that ends with cancel.
func (j *job) watch(ctx context.Context, cancel context.CancelCauseFunc, c *candidate, all []*candidate) *race {
	r := &race{job: j, candidate: c, rivals: all, cancel: cancel, done: make(chan struct{}),
		begun: time.Now(), offset: j.part.Offset(), size: -1}
	ctx, r.end = context.WithCancel(ctx)
	if j.alone || len(all) < 2 {
		close(r.done)
		return r
	}
	go r.run(ctx)
	return r
}

// stop ends the watch, and returns who won if anybody did.
func (r *race) stop() *lead {
	r.end()
	<-r.done
	r.job.attempts = append(r.job.attempts, r.failed...)
	return r.lead
}

func (r *race) run(ctx context.Context) {
	defer close(r.done)
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		late, offset := r.late()
		rival := r.job.run.board.rival(r.candidate, r.rivals, late)
		if rival == nil {
			continue
		}
		if r.lead = r.challenge(ctx, rival, offset); r.lead != nil {
			r.cancel(nil)
			return
		}
	}
}

// open notes that the source answers.
func (r *race) open(offset, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offset, r.size = offset, size
}

// read reads from a body and notes how long that took.
func (r *race) read(body io.Reader, buf []byte) (int, error) {
	begun := time.Now()
	r.mu.Lock()
	r.since = begun
	r.mu.Unlock()
	n, err := body.Read(buf)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.bytes > 0 {
		r.now.waited += time.Since(begun)
	}
	r.since = time.Time{}
	r.now.bytes += int64(n)
	r.offset += int64(n)
	return n, err
}

// late returns how much longer the file will take, or the run if all that is
// left goes at this pace; and the offset of the next byte.
func (r *race) late() (time.Duration, int64) {
	rate := r.rate()
	r.mu.Lock()
	defer r.mu.Unlock()
	took := time.Since(r.begun)
	if r.now.bytes == 0 {
		return took, r.offset
	}
	if rate >= swift {
		return 0, r.offset
	}
	left := int64(copySize) // at least, where nobody knows
	if r.size >= 0 {
		left = r.size - r.offset
	}
	wait := time.Duration(min(float64(left)/max(rate, 1), 1e6) * float64(time.Second))
	all := (took + wait) / time.Duration(r.candidate.host.limits.Parallel) * time.Duration(r.job.run.open.Load())
	return max(wait, all), r.offset
}

// rate returns how many bytes a second arrived lately.
func (r *race) rate() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now
	if now.bytes > 0 && !r.since.IsZero() {
		now.waited += time.Since(r.since)
	}
	r.marks = append(r.marks, now)
	r.marks = r.marks[max(0, len(r.marks)-glances):]
	var then mark
	if len(r.marks) == glances {
		then = r.marks[0]
	}
	return float64(now.bytes-then.bytes) / max(now.waited-then.waited, time.Millisecond).Seconds()
}

// challenge asks a rival for the bytes from offset on. It returns a lead if
// the rival has won: it gave the whole rest before the other did, or proved to
// be faster by far.
func (r *race) challenge(ctx context.Context, c *candidate, offset int64) *lead {
	board := r.job.run.board
	l, rate, err := r.try(ctx, c, offset)
	defer board.raced(c)
	switch {
	case ctx.Err() != nil:
		// The other one came first, or failed first.
	case err != nil:
		board.settle(c, outcome{err: err, rival: true})
		r.failed = append(r.failed, Attempt{c.name, err})
		r.job.run.events.Failed(r.job.entry(), c.name, err)
	case rate >= advantage*r.rate():
		board.overtake(c, r.candidate)
		return l
	case l.err == io.EOF:
		return l
	}
	if l != nil {
		r.job.drop(l)
	}
	board.lost(c)
	return nil
}

// try opens a body, which lives on after ctx only if that is not done when try
// returns, and reads its head. rate tells how fast that came, without the wait
// for the answer unless the head is all there is.
func (r *race) try(ctx context.Context, c *candidate, offset int64) (l *lead, rate float64, err error) {
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	adopted := context.AfterFunc(ctx, cancel)
	pool := &r.job.run.pool
	l = &lead{candidate: c, offset: offset, buf: pool.Get().(*[]byte), cancel: cancel}
	defer func() {
		if !adopted() || err != nil {
			r.job.drop(l)
			l, err = nil, firstError(err, ctx.Err())
		}
	}()
	req := c.req
	req.Offset = offset
	begun := time.Now()
	if l.body, err = c.stacked.Open(alive, req); err != nil {
		return l, 0, err
	}
	if _, err = io.CopyN(io.Discard, l.body, offset-l.body.Offset); err != nil {
		return l, 0, err
	}
	var first time.Time // when the first bytes were here, of which there were
	var at, n int
	for n < len(*l.buf) && l.err == nil {
		var m int
		m, l.err = l.body.Read((*l.buf)[n:])
		if n += m; n > 0 && first.IsZero() {
			first, at = time.Now(), n
		}
	}
	l.head = (*l.buf)[:n]
	if l.err == io.EOF {
		first, at = begun, 0
	} else if l.err != nil {
		return l, 0, l.err
	}
	r.job.run.bytes.Add(int64(n))
	if n == at { // all at once
		at = 0
	}
	return l, float64(n-at) / max(time.Since(first), time.Millisecond).Seconds(), nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// drop gives up a lead. Its slot is not given back.
func (j *job) drop(l *lead) {
	if l.body != nil {
		l.body.Close()
	}
	l.cancel()
	j.run.pool.Put(l.buf)
}

// rival chooses a source to race against c, for a file that will take so much
// longer, and takes a slot of its host; nil if there is none. Keepers race
// nobody, nor does what shares a host with c, is unwell or has no slot to
// spare. A source that has not proved itself races for one file at a time.
func (b *board) rival(c *candidate, cands []*candidate, late time.Duration) *candidate {
	if late < lateProven {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, o := range inOrder(cands) {
		h := o.host
		ready := later(later(o.notBefore, o.again), later(h.rest, h.next))
		switch {
		case h == c.host, b.gentle(h), !b.usable(o, now), o.rank() > 0, ready.After(now):
		case h.rests > 0, h.inFlight >= h.parallel, o.route().probed():
		case !o.proven && (late < lateAfter || o.racing > 0 || o.standing.again.After(now)):
		default:
			b.take(o, nil, now)
			o.racing++
			return o
		}
	}
	return nil
}

// gentle reports whether a host wants to be asked less than others do.
func (b *board) gentle(h *host) bool {
	return h.limits.Every > 0 || h.limits.Parallel < b.policy.PerHost
}

// overtake puts the winner of a race before the loser in the order of
// preference, for the rest of the run.
func (b *board) overtake(winner, loser *candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	winner.proven, winner.losses = true, 0
	loser.proven = false
	b.loses(loser)
	if winner.place < loser.place {
		return
	}
	from, to := winner.place, loser.place
	for _, s := range b.sources {
		if s.place >= to && s.place < from {
			s.place++
		}
	}
	winner.standing.place = to
}

// raced notes that a race is over.
func (b *board) raced(c *candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.racing--
}

// lost gives back the slot of a rival that won nothing, if it still has one, and leaves it alone
// for a while.
func (b *board) lost(c *candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	b.drop(c)
	b.loses(c)
}

func (b *board) loses(c *candidate) {
	c.again = time.Now().Add(rematch)
	c.standing.again = time.Now().Add(rematch << min(c.losses, 10))
	c.losses++
}
