package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// What Push does where the fields of its Pushing are zero.
const (
	DefaultPushParallel = 8
	DefaultPushStall    = 2 * time.Minute
)

// maxFailedInRow is how many files a sink may fail for one after another
// before the others are not tried any more: it is gone, or refuses us.
const maxFailedInRow = 32

// Pushing says how hard [Push] tries. The zero Pushing is usable.
type Pushing struct {
	Parallel int           // files in flight
	Attempts int           // how often a file may fail for a reason that may pass; 0 for DefaultAttempts
	Backoff  time.Duration // the first pause after a failure; it grows; 0 for DefaultBackoff
	Patience time.Duration // the longest wait that the sink may ask for; 0 for DefaultPatience
	Stall    time.Duration // how long the sink may take no byte of a file
	Events   *PushEvents   // may be nil
}

// PushEvents tells what goes on during a push. Any callback may be nil; the
// others are called from many goroutines at once and must return quickly.
type PushEvents struct {
	// Bytes is called as the sink has taken n more bytes of a file. A
	// negative n takes back those of an attempt that failed.
	Bytes func(e lockfile.Entry, n int64)
	// Failed is called for each attempt that failed.
	Failed func(e lockfile.Entry, err error)
	// Done is called once for each file: err is nil when it is in the sink,
	// and sent tells whether its bytes had to be sent.
	Done func(e lockfile.Entry, sent bool, err error)
}

// A PushReport says what became of the files of a push. Files of one digest
// count once.
type PushReport struct {
	Sent    int   // files whose bytes had to be sent, once or more often
	Bytes   int64 // the bytes of those
	Present int   // files that were there already
	// Failed are the files that the sink did not take, in the order of the
	// sets.
	Failed []PushFailure
	// Left are the files that were not settled when the push was called off or
	// given up.
	Left []lockfile.Entry
	// Published says that the locks can be had from the sink.
	Published bool
}

// A PushFailure is a file that a sink did not take.
type PushFailure struct {
	Entry lockfile.Entry
	Err   error // of the last attempt
}

// Push puts the files of the sets into the sink, many at once, and publishes
// the sets when all are in. What may pass is tried again, and a file that
// fails does not stop the others, unless a long row of them fails. The error
// is nil when the sets are published; the report is there in any case.
func Push(ctx context.Context, sink Sink, sets []Set, how Pushing) (*PushReport, error) {
	p := newPush(sink, how)
	files := distinct(sets)
	ctx, p.end = context.WithCancelCause(ctx)
	defer p.end(nil)
	p.putAll(ctx, files)
	report := p.report(files)
	if len(report.Left) > 0 {
		return report, fmt.Errorf("push to %s: %w", sink.Name(), context.Cause(ctx))
	}
	if n := len(report.Failed); n > 0 {
		return report, fmt.Errorf("push to %s: %d of %d files failed, so the lock was not published; push again to send what is left", sink.Name(), n, len(files))
	}
	publish := func(ctx context.Context) error { return sink.Publish(ctx, sets) }
	if err := p.persist(ctx, publish, func(error) {}); err != nil {
		return report, fmt.Errorf("publish the lock in %s: %w", sink.Name(), err)
	}
	report.Published = true
	return report, nil
}

// distinct lists the files of all sets, each digest once.
func distinct(sets []Set) []File {
	var out []File
	seen := map[lockfile.Digest]bool{}
	for _, s := range sets {
		for _, f := range s.Files {
			if !seen[f.Entry.Digest] {
				seen[f.Entry.Digest] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// A push is one run of Push.
type push struct {
	sink   Sink
	policy Pushing
	events PushEvents
	end    context.CancelCauseFunc

	mu      sync.Mutex
	rest    time.Time // until when the sink wants to be left alone
	results map[lockfile.Digest]pushed
	streak  int // files that failed since the last that did not
}

// pushed is how it ended for one file.
type pushed struct {
	sent bool
	err  error
}

func newPush(sink Sink, how Pushing) *push {
	how.Parallel = cmp.Or(how.Parallel, DefaultPushParallel)
	how.Attempts = cmp.Or(how.Attempts, DefaultAttempts)
	how.Backoff = cmp.Or(how.Backoff, DefaultBackoff)
	how.Patience = cmp.Or(how.Patience, DefaultPatience)
	how.Stall = cmp.Or(how.Stall, DefaultPushStall)
	p := &push{sink: sink, policy: how, results: map[lockfile.Digest]pushed{}}
	if how.Events != nil {
		p.events = *how.Events
	}
	if p.events.Bytes == nil {
		p.events.Bytes = func(lockfile.Entry, int64) {}
	}
	if p.events.Failed == nil {
		p.events.Failed = func(lockfile.Entry, error) {}
	}
	if p.events.Done == nil {
		p.events.Done = func(lockfile.Entry, bool, error) {}
	}
	return p
}

func (p *push) putAll(ctx context.Context, files []File) {
	todo := make(chan File)
	var workers sync.WaitGroup
	for range min(p.policy.Parallel, len(files)) {
		workers.Go(func() {
			for f := range todo {
				p.put(ctx, f)
			}
		})
	}
	for _, f := range files {
		todo <- f // workers return at once when ctx is done
	}
	close(todo)
	workers.Wait()
}

// put brings one file into the sink and notes how that ended, unless the push
// was called off.
func (p *push) put(ctx context.Context, f File) {
	// A file that is there after an attempt that failed may be there by that
	// attempt, of which only the answer was lost.
	var sent, began bool
	err := p.persist(ctx, func(ctx context.Context) error {
		put, took, err := p.attempt(ctx, f)
		sent = err == nil && (put || began)
		began = began || took
		return err
	}, func(err error) { p.events.Failed(f.Entry, err) })
	if err == nil || ctx.Err() == nil {
		p.settle(f, pushed{sent, err})
	}
	p.events.Done(f.Entry, sent, err)
}

// settle notes how it ended for a file.
func (p *push) settle(f File, r pushed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.results[f.Entry.Digest] = r
	if r.err == nil {
		p.streak = 0
		return
	}
	if p.streak++; p.streak >= maxFailedInRow {
		p.end(fmt.Errorf("given up after %d files failed in a row: %w", p.streak, r.err))
	}
}

// persist repeats what fails for a reason that may pass. When the sink asks
// for time, all files wait.
func (p *push) persist(ctx context.Context, do func(context.Context) error, failed func(error)) error {
	for tries, refusals := 0, 0; ; {
		if err := p.wait(ctx); err != nil {
			return err
		}
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		failed(err)
		var busy *BusyError
		switch {
		case errors.As(err, &busy):
			refusals++
			after := cmp.Or(busy.After, pause(p.policy.Backoff, refusals))
			if refusals >= maxBusy || after > p.policy.Patience {
				return err
			}
			p.leave(after)
			continue
		case IsPermanent(err):
			return err
		}
		if tries++; tries >= p.policy.Attempts {
			return err
		}
		if err := sleep(ctx, pause(p.policy.Backoff, tries)); err != nil {
			return err
		}
	}
}

// leave leaves the sink alone for a while.
func (p *push) leave(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = later(p.rest, time.Now().Add(d))
}

// wait waits until the sink may be asked.
func (p *push) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		rest := time.Until(p.rest)
		p.mu.Unlock()
		if err := sleep(ctx, rest); err != nil || rest <= 0 {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// attempt puts the file once, and calls that off when the sink falls silent.
// took tells whether the sink read any of the file.
func (p *push) attempt(ctx context.Context, f File) (sent, took bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := watch{silence: p.policy.Stall, cancel: cancel}
	w.timer = time.AfterFunc(w.silence, w.bark)
	defer w.timer.Stop()
	t := &taken{told: func(n int64) { p.events.Bytes(f.Entry, n) }, watch: w}
	open := f.Open
	f.Open = func(ctx context.Context) (io.ReadSeekCloser, error) {
		r, err := open(ctx)
		if err != nil {
			return nil, Permanent(err)
		}
		return &taking{ReadSeekCloser: r, taken: t}, nil
	}
	sent, err = p.sink.Put(ctx, f)
	if err != nil {
		return false, t.back(), w.explain(ctx, err)
	}
	return sent, sent, nil
}

func (p *push) report(files []File) *PushReport {
	out := &PushReport{}
	for _, f := range files {
		switch r, settled := p.results[f.Entry.Digest]; {
		case !settled:
			out.Left = append(out.Left, f.Entry)
		case r.err != nil:
			out.Failed = append(out.Failed, PushFailure{f.Entry, r.err})
		case r.sent:
			out.Sent++
			out.Bytes += f.Size
		default:
			out.Present++
		}
	}
	return out
}
