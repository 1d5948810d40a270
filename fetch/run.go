package fetch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samebits/samebits/lockfile"
)

// A run is one call of Fetch.
type run struct {
	policy *Planner // with no zero fields
	events Events
	board  *board
	jobs   []*job
	bytes  atomic.Int64
	open   atomic.Int64 // jobs that are not settled
	end    context.CancelCauseFunc
	pool   sync.Pool // of *[]byte, to copy through
}

// copySize is what one file in flight holds in memory.
const copySize = 128 << 10

// A state is what became of a job.
type state int

const (
	stateLeft state = iota
	statePresent
	stateFetched
	stateFailed
)

func newRun(p *Planner, reqs []Request) *run {
	policy := *p
	fill(&policy.Parallel, DefaultParallel)
	fill(&policy.PerHost, DefaultPerHost)
	fill(&policy.Stall, DefaultStall)
	fill(&policy.Attempts, DefaultAttempts)
	fill(&policy.Patience, DefaultPatience)
	fill(&policy.Backoff, DefaultBackoff)
	fill(&policy.MaxSize, DefaultMaxSize)
	r := &run{policy: &policy}
	if p.Events != nil {
		r.events = *p.Events
	}
	r.events.fill()
	r.board = newBoard(&policy, p.PerHost <= 0)
	r.pool.New = func() any { b := make([]byte, copySize); return &b }
	byDigest := map[lockfile.Digest]*job{}
	for _, req := range reqs {
		req.Offset, req.Validator = 0, ""
		j := byDigest[req.Entry.Digest]
		if j == nil {
			j = &job{run: r}
			byDigest[req.Entry.Digest] = j
			r.jobs = append(r.jobs, j)
		}
		j.reqs = append(j.reqs, req)
	}
	return r
}

// fill replaces what is not set.
func fill[T ~int | ~int64](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// fill makes every callback callable.
func (e *Events) fill() {
	if e.Start == nil {
		e.Start = func(lockfile.Entry, int64, int64) {}
	}
	if e.Bytes == nil {
		e.Bytes = func(lockfile.Entry, int64) {}
	}
	if e.Failed == nil {
		e.Failed = func(lockfile.Entry, string, error) {}
	}
	if e.Done == nil {
		e.Done = func(lockfile.Entry, string, error) {}
	}
}

func (r *run) do(ctx context.Context) *Report {
	ctx, r.end = context.WithCancelCause(ctx)
	defer r.end(nil)
	r.open.Store(int64(len(r.jobs)))
	todo := make(chan *job)
	var workers sync.WaitGroup
	for range min(r.policy.Parallel, len(r.jobs)) {
		workers.Go(func() {
			for j := range todo {
				j.settle(ctx)
				r.open.Add(-1)
			}
		})
	}
	for _, j := range r.jobs {
		todo <- j // workers return at once when ctx is done
	}
	close(todo)
	workers.Wait()
	return r.report(ctx)
}

func (r *run) report(ctx context.Context) *Report {
	out := &Report{Bytes: r.bytes.Load()}
	for _, j := range r.jobs {
		first, rest := j.reqs[0].Entry, j.reqs[1:]
		switch j.state {
		case statePresent:
			out.Present += len(j.reqs)
			continue
		case stateFetched:
			out.Fetched = append(out.Fetched, Fetched{Entry: first, Source: j.source, Bytes: j.arrived})
			out.Present += len(rest)
			continue
		}
		for _, req := range j.reqs {
			if j.state == stateFailed {
				out.Failed = append(out.Failed, Failure{Entry: req.Entry, Attempts: j.attempts})
			} else {
				out.Left = append(out.Left, req.Entry)
			}
		}
	}
	if len(out.Left) > 0 {
		out.Err = context.Cause(ctx)
	}
	for _, s := range r.board.sources {
		if s.trouble.rank > 0 {
			out.Troubles = append(out.Troubles, s.trouble)
		}
	}
	return out
}

// storeError is a failure of the store, which ends the run.
type storeError struct{ err error }

func (e *storeError) Error() string { return fmt.Sprintf("the store failed: %v", e.err) }
func (e *storeError) Unwrap() error { return e.err }

// fatal ends the run if err is of the store's making.
func (r *run) fatal(err error) bool {
	var s *storeError
	if errors.As(err, &s) {
		r.end(s)
		return true
	}
	return false
}
