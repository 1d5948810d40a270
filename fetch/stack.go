package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// stack is what happens to every request that the planner sends, read from
// the last line up:
//
//   - learning tells the board that the source answered, which is how others
//     come to ask it for files of the same archive
//   - stalling ends a request at which no byte, or hardly any, arrived for a
//     while
//   - bounding holds the source to what it announced
//   - the source itself answers
//
// Before a request comes here the board has chosen the source and taken a slot
// of its host for it (see [board.choose]); after it the board decides whether
// and when the source is asked again (see [board.settle]).
func stack(s *standing, b *board, p *Planner) Source {
	source := s.source
	source = bounding{source, p.MaxSize}
	source = stalling{source, p.Stall}
	source = learning{source, b, s}
	return source
}

type learning struct {
	Source
	board    *board
	standing *standing
}

func (l learning) Open(ctx context.Context, req Request) (*Body, error) {
	begun := time.Now()
	body, err := l.Source.Open(ctx, req)
	if err == nil {
		l.board.opened(l.standing, req.Entry.Archive.String(), time.Since(begun))
	}
	return body, err
}

type stalling struct {
	Source
	silence time.Duration
}

func (s stalling) Open(ctx context.Context, req Request) (*Body, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := watch{silence: s.silence, cancel: cancel}
	w.timer = time.AfterFunc(s.silence, w.bark)
	body, err := s.Source.Open(ctx, req)
	w.timer.Stop()
	if err != nil {
		defer cancel(nil)
		return nil, w.explain(ctx, err)
	}
	out := *body
	out.ReadCloser = &watched{body: body.ReadCloser, ctx: ctx, watch: w}
	return &out, nil
}

// Watch returns body with reads that fail when no byte, or hardly any, arrives
// for the given time. ctx must be what the body was opened with, and cancel what ends it:
// Watch calls it on silence and on Close.
func Watch(ctx context.Context, cancel context.CancelCauseFunc, silence time.Duration, body io.ReadCloser) io.ReadCloser {
	w := watch{silence: silence, cancel: cancel}
	w.timer = time.AfterFunc(silence, w.bark)
	w.timer.Stop()
	return &watched{body: body, ctx: ctx, watch: w}
}

// leastBytes is how many bytes must arrive in the time of a silence. Whoever
// sends fewer only keeps the connection busy.
const leastBytes = 1 << 10

// watch ends a request when its timer is not stopped in time. The time that
// the reader takes to store what it read does not count.
type watch struct {
	silence time.Duration
	timer   *time.Timer
	cancel  context.CancelCauseFunc
}

type stallError struct {
	silence time.Duration
	got     int
}

func (e *stallError) Error() string {
	if e.got > 0 {
		return fmt.Sprintf("only %d bytes arrived in %s", e.got, e.silence)
	}
	return fmt.Sprintf("no byte arrived for %s", e.silence)
}

func (w watch) bark() { w.cancel(&stallError{silence: w.silence}) }

// explain puts silence in the place of the cancellation that it caused.
func (w watch) explain(ctx context.Context, err error) error {
	var stalled *stallError
	if errors.As(context.Cause(ctx), &stalled) {
		return stalled
	}
	return err
}

type watched struct {
	body   io.ReadCloser
	ctx    context.Context
	watch  watch
	waited time.Duration // since leastBytes arrived
	got    int           // bytes since then
}

func (r *watched) Read(p []byte) (int, error) {
	begun := time.Now()
	r.watch.timer.Reset(r.watch.silence)
	n, err := r.body.Read(p)
	r.watch.timer.Stop()
	if err != nil {
		if err != io.EOF {
			err = r.watch.explain(r.ctx, err)
		}
		return n, err
	}
	r.got += n
	r.waited += time.Since(begun)
	if r.got >= leastBytes {
		r.got, r.waited = 0, 0
	} else if r.waited >= r.watch.silence {
		return n, &stallError{r.watch.silence, r.got}
	}
	return n, nil
}

func (r *watched) Close() error {
	r.watch.timer.Stop()
	err := r.body.Close()
	r.watch.cancel(nil)
	return err
}

type bounding struct {
	Source
	max int64
}

func (b bounding) Open(ctx context.Context, req Request) (*Body, error) {
	body, err := b.Source.Open(ctx, req)
	if err != nil {
		return nil, err
	}
	left := b.max - body.Offset
	switch {
	case body.Offset != req.Offset && body.Offset != 0:
		err = Permanent(fmt.Errorf("answers from byte %d when asked from byte %d", body.Offset, req.Offset))
	case body.Size > b.max:
		err = Permanent(fmt.Errorf("announces %d bytes, more than the %d that a file may have", body.Size, b.max))
	case body.Size >= 0 && body.Size < body.Offset:
		err = Permanent(fmt.Errorf("announces %d bytes when asked from byte %d", body.Size, req.Offset))
	case body.Size >= 0:
		left = body.Size - body.Offset
	}
	if err != nil {
		body.Close()
		return nil, err
	}
	out := *body
	out.ReadCloser = &bounded{ReadCloser: body.ReadCloser, left: left, exact: body.Size >= 0}
	return &out, nil
}

var errTooMuch = errors.New("sends more bytes than it announced or than a file may have")

// bounded passes no more than left bytes, and no fewer where that is exact.
type bounded struct {
	io.ReadCloser
	left  int64
	exact bool
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = 0
		return n, Permanent(errTooMuch)
	}
	b.left -= int64(n)
	if err == io.EOF && b.exact && b.left > 0 {
		err = fmt.Errorf("ended %d bytes early: %w", b.left, io.ErrUnexpectedEOF)
	}
	return n, err
}
