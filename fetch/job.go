package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/lockfile"
)

// A job is one file to fetch. One worker has it.
type job struct {
	run  *run
	reqs []Request // all for the same digest

	state    state
	source   string // that gave the last bytes
	arrived  int64
	attempts []Attempt

	part      Partial
	started   bool     // Events.Start was called
	from      []string // who gave the bytes that part has, in order
	bodies    int      // in how many answers
	validator string   // of the last of them
	// alone says that bytes of several answers put together were wrong once,
	// so that each source is now asked for the whole file. That is how one
	// liar is told from the honest ones.
	alone bool
}

func (j *job) entry() lockfile.Entry { return j.reqs[0].Entry }

// settle brings the file into the store or finds that it cannot be had.
func (j *job) settle(ctx context.Context) {
	err := context.Cause(ctx)
	if err == nil {
		err = j.fetch(ctx)
	}
	for _, req := range j.reqs {
		e := req.Entry
		switch {
		case j.state == stateFailed:
			j.run.events.Done(e, "", &Failure{Entry: e, Attempts: j.attempts})
		case j.state == stateLeft:
			j.run.events.Done(e, "", err)
		default:
			j.run.events.Done(e, j.source, nil)
		}
	}
}

// fetch sets the job's state. The error is why it is left.
func (j *job) fetch(ctx context.Context) error {
	part, err := j.run.policy.Store.Begin(ctx, j.entry().Digest)
	if err != nil {
		if ctx.Err() == nil {
			j.run.fatal(&storeError{err})
		}
		return context.Cause(ctx)
	}
	if part == nil {
		j.state = statePresent
		return nil
	}
	j.part = part
	if j.part.Offset() > 0 {
		j.from, j.bodies = []string{"an earlier run"}, 1
	}
	err = j.ask(ctx)
	if cerr := part.Close(); cerr != nil && err == nil {
		err = &storeError{cerr}
		j.run.fatal(err)
	}
	return err
}

// ask goes from source to source until the file is there.
func (j *job) ask(ctx context.Context) error {
	b := j.run.board
	cands := b.candidates(j.reqs)
	var next *lead
	for {
		if next == nil {
			c, err := b.pick(ctx, cands)
			if err != nil {
				return context.Cause(ctx)
			}
			if c == nil {
				j.attempts = append(j.attempts, b.leftovers(cands)...)
				j.state = stateFailed
				return nil
			}
			next = &lead{candidate: c}
		}
		c, before := next.candidate, j.arrived
		var err error
		next, err = j.attempt(ctx, next, cands)
		if j.run.fatal(err) || (err != nil && ctx.Err() != nil) {
			if next != nil {
				j.drop(next)
			}
			return context.Cause(ctx)
		}
		j.learn(c, outcome{err: err, progress: j.arrived > before})
		if err == nil {
			j.state, j.source = stateFetched, c.name
			return nil
		}
	}
}

// learn tells the board and the reader of the report how an attempt ended.
func (j *job) learn(c *candidate, o outcome) {
	name := c.name
	var mixed *mixedError
	if errors.As(o.err, &mixed) {
		// Nobody is to blame yet; whoever lied will show.
		name = strings.Join(mixed.from, ", ")
	} else {
		j.run.board.settle(c, o)
	}
	if o.err != nil {
		j.attempts = append(j.attempts, Attempt{name, o.err})
		j.run.events.Failed(j.entry(), name, o.err)
	}
}

// attempt asks one source for what is still lacking, or goes on with what has
// been asked for already. With an error there may be a lead that goes on.
func (j *job) attempt(ctx context.Context, l *lead, all []*candidate) (*lead, error) {
	c := l.candidate
	request, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	race := j.watch(ctx, cancel, c, all)
	err := j.take(request, l, race)
	next := race.stop()
	if err == nil {
		if next != nil {
			j.drop(next)
			j.run.board.release(next.candidate)
		}
		j.run.board.release(c)
		return nil, j.commit()
	}
	var store *storeError
	switch {
	case next != nil && !errors.As(err, &store):
		err = &slowError{race.rate(), next.name}
	case errors.Is(err, context.Canceled) && ctx.Err() == nil:
		// A source that gives up for a reason of its own is no different from
		// one that fails.
		err = errors.New(err.Error())
	}
	return next, err
}

// take reads the source's answer into the partial.
func (j *job) take(ctx context.Context, l *lead, race *race) error {
	c := l.candidate
	last := ""
	if len(j.from) > 0 {
		last = j.from[len(j.from)-1]
	}
	if j.alone && last != c.name {
		if err := j.reset(); err != nil {
			return err
		}
	}
	body := l.body
	if body != nil {
		defer context.AfterFunc(ctx, l.cancel)()
		defer j.drop(l)
	}
	offset := j.part.Offset()
	if body == nil || offset < l.offset || offset > l.offset+int64(len(l.head)) {
		req := c.req
		req.Offset = offset
		if last == c.name {
			req.Validator = j.validator
		}
		var err error
		if body, err = c.stacked.Open(ctx, req); err != nil {
			return err
		}
		defer body.Close()
		if body.Offset != offset {
			if err := j.reset(); err != nil {
				return err
			}
		}
		l = &lead{candidate: c, body: body, offset: body.Offset}
	}
	j.start(body)
	j.bodies++
	j.validator = body.Validator
	if len(j.from) == 0 || j.from[len(j.from)-1] != c.name {
		j.from = append(j.from, c.name)
	}
	err := j.copy(ctx, l, race)
	if errors.Is(err, errTooMuch) {
		// Nothing is worth keeping of what may have been meant to fill a disk.
		if rerr := j.reset(); rerr != nil {
			return rerr
		}
	}
	return err
}

func (j *job) start(body *Body) {
	if !j.started {
		j.started = true
		j.run.events.Start(j.entry(), j.part.Offset(), body.Size)
	}
}

// reset drops what there is of the file.
func (j *job) reset() error {
	j.run.events.Bytes(j.entry(), -j.part.Offset())
	j.from, j.bodies, j.validator = nil, 0, ""
	if err := j.part.Reset(); err != nil {
		return &storeError{err}
	}
	return nil
}

// copy stores the head of the body as far as it is lacking, and then the rest.
func (j *job) copy(ctx context.Context, l *lead, race *race) error {
	if err := j.store(l.head[j.part.Offset()-l.offset:]); err != nil {
		return err
	}
	race.open(j.part.Offset(), l.body.Size)
	if l.err == io.EOF {
		return nil
	}
	buf := j.run.pool.Get().(*[]byte)
	defer j.run.pool.Put(buf)
	for {
		n, err := race.read(l.body, *buf)
		if err2 := j.store((*buf)[:n]); err2 != nil {
			return err2
		}
		j.run.bytes.Add(int64(n))
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// store appends bytes that arrived.
func (j *job) store(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if _, err := j.part.Write(data); err != nil {
		return &storeError{err}
	}
	j.arrived += int64(len(data))
	j.run.events.Bytes(j.entry(), int64(len(data)))
	return nil
}

// mixedError says that the bytes of several answers do not fit together.
type mixedError struct {
	from []string
	err  error
}

func (e *mixedError) Error() string {
	return fmt.Sprintf("bytes of several answers put together are wrong, starting again from one source: %v", e.err)
}

// commit checks the whole file. A wrong one is a [*lockfile.DigestError] where
// one source is to blame, else a mixedError.
func (j *job) commit() error {
	size := j.part.Offset()
	err := j.part.Commit()
	if err == nil {
		return nil
	}
	var wrong *lockfile.DigestError
	if !errors.As(err, &wrong) {
		return &storeError{err}
	}
	mixed := j.bodies > 1 && !j.alone
	from := j.from
	j.from, j.bodies, j.validator = nil, 0, ""
	j.run.events.Bytes(j.entry(), -size)
	if mixed {
		j.alone = true
		return &mixedError{from, wrong}
	}
	return err
}
