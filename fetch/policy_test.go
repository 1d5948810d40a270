package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// A script is a source that answers as a function says. Its tests run on
// synctest's clock, on which an hour takes no time.
type script struct {
	name  string
	open  func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error)
	mu    sync.Mutex
	times []time.Time // of the requests
}

func (s *script) Name() string               { return s.name }
func (s *script) Serves(lockfile.Entry) bool { return true }
func (s *script) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	s.mu.Lock()
	n := len(s.times)
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	return s.open(ctx, n, req)
}

func (s *script) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// bodyOf answers well.
func bodyOf(data []byte, req fetch.Request) *fetch.Body {
	return &fetch.Body{ReadCloser: io.NopCloser(bytes.NewReader(data[req.Offset:])), Offset: req.Offset, Size: int64(len(data))}
}

// silent is a body that says nothing until its context ends.
type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s silent) Close() error             { return nil }

func good(files map[string][]byte) *script {
	return &script{name: "good", open: func(_ context.Context, _ int, req fetch.Request) (*fetch.Body, error) {
		return bodyOf(files[req.Entry.Path], req), nil
	}}
}

// Another source is used while a busy one rests, and the time that it asked
// for is kept.
func TestRetryAfterIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(10, 100)
		busy := good(files)
		answer := busy.open
		busy.name = "busy"
		busy.open = func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			if n == 0 {
				return nil, &fetch.BusyError{After: time.Minute, Err: errors.New("too many")}
			}
			return answer(ctx, n, req)
		}
		start := time.Now()
		store := &fetchtest.Store{}
		// One at a time, so that none was on its way before the answer.
		r := (&fetch.Planner{Store: store, Sources: []fetch.Source{busy}, Parallel: 1}).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		for _, at := range busy.times[1:] {
			if at.Sub(start) >= time.Minute {
				return
			}
			t.Errorf("asked again after %s, not a minute", at.Sub(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(10, 100)
		busy := &script{name: "busy", open: func(context.Context, int, fetch.Request) (*fetch.Body, error) {
			return nil, &fetch.BusyError{After: time.Minute, Err: errors.New("too many")}
		}}
		start := time.Now()
		store := &fetchtest.Store{}
		r := (&fetch.Planner{Store: store, Sources: []fetch.Source{busy, good(files)}}).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if took := time.Since(start); took > time.Second || busy.asked() != 1 {
			t.Errorf("took %s and asked the busy source %d times", took, busy.asked())
		}
	})
}

// A wait beyond patience is not waited for, and the source not asked.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(50, 100)
		busy := &script{name: "busy", open: func(context.Context, int, fetch.Request) (*fetch.Body, error) {
			return nil, &fetch.BusyError{After: 48 * time.Hour, Err: errors.New("too many")}
		}}
		start := time.Now()
		p := &fetch.Planner{Store: &fetchtest.Store{}, Parallel: 1, Sources: []fetch.Source{busy}}
		r := p.Fetch(t.Context(), requests(files))
		if took := time.Since(start); took > time.Minute || busy.asked() != 1 || len(r.Failed) != 50 {
			t.Errorf("took %s, asked %d times, %d failed", took, busy.asked(), len(r.Failed))
		}
		if got := r.Failed[49].Error(); !strings.Contains(got, "48h0m0s") || !strings.Contains(got, "busy") {
			t.Errorf("the last failure is %q", got)
		}
	})
}

// A body that ends well after the host asked to be left alone does not make
// forgotten why the rest was not asked for.
func TestBusyWhileBodyArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(5, 100)
		busy := &script{name: "busy", open: func(_ context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			if n == 0 {
				body := bodyOf(files[req.Entry.Path], req)
				body.ReadCloser = late{body.ReadCloser}
				return body, nil
			}
			return nil, &fetch.BusyError{After: 48 * time.Hour, Err: errors.New("too many")}
		}}
		other := &script{name: "other", open: func(context.Context, int, fetch.Request) (*fetch.Body, error) {
			time.Sleep(10 * time.Second) // the body has ended by then
			return nil, fs.ErrNotExist
		}}
		p := &fetch.Planner{Store: &fetchtest.Store{}, PerHost: 2, Sources: []fetch.Source{busy, other}}
		r := p.Fetch(t.Context(), requests(files))
		if len(r.Fetched) != 1 || len(r.Failed) != 4 {
			t.Fatalf("%d fetched, %d failed", len(r.Fetched), len(r.Failed))
		}
		for _, f := range r.Failed {
			if got := f.Error(); !strings.Contains(got, "busy: ") || !strings.Contains(got, "too many") {
				t.Errorf("a failure does not tell why: %q", got)
			}
		}
		if busy.asked() != 2 {
			t.Errorf("asked %d times", busy.asked())
		}
	})
}

// late takes its time for each read.
type late struct{ io.ReadCloser }

func (l late) Read(p []byte) (int, error) { time.Sleep(time.Second); return l.ReadCloser.Read(p) }

// A source that stays down is given up for the run, soon enough.
func TestDeadSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(700, 100)
		down := &script{name: "down", open: func(context.Context, int, fetch.Request) (*fetch.Body, error) {
			return nil, errors.New("connection refused")
		}}
		start := time.Now()
		p := &fetch.Planner{Store: &fetchtest.Store{}, Sources: []fetch.Source{down}}
		r := p.Fetch(t.Context(), requests(files))
		if took := time.Since(start); took > time.Minute || took < 5*time.Second {
			t.Errorf("gave up after %s", took)
		}
		if len(r.Failed) != 700 || down.asked() > 60 {
			t.Errorf("%d failed, asked %d times", len(r.Failed), down.asked())
		}
		for _, f := range r.Failed {
			if !strings.Contains(f.Error(), "connection refused") {
				t.Fatalf("a failure does not tell why: %q", f.Error())
			}
		}
	})
}

// An outage of some seconds is outlived.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(100, 100)
		back := time.Now().Add(3 * time.Second)
		s := good(files)
		answer := s.open
		s.open = func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			if n > 30 && time.Now().Before(back) {
				return nil, errors.New("network is unreachable")
			}
			return answer(ctx, n, req)
		}
		store := &fetchtest.Store{}
		r := (&fetch.Planner{Store: store, Sources: []fetch.Source{s}}).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
	})
}

// flight counts requests that overlap.
type flight struct {
	mu        sync.Mutex
	now, most int
}

// take is one request that takes some time.
func (f *flight) take(d time.Duration) {
	f.mu.Lock()
	f.now++
	f.most = max(f.most, f.now)
	f.mu.Unlock()
	time.Sleep(d)
	f.mu.Lock()
	f.now--
	f.mu.Unlock()
}

// A host that failed is tested with one request at a time.
func TestFailedHostIsTestedGently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(100, 100)
		var first, later flight
		start := time.Now()
		down := &script{name: "down", open: func(context.Context, int, fetch.Request) (*fetch.Body, error) {
			f := &first
			if time.Since(start) > time.Second {
				f = &later
			}
			f.take(time.Second)
			return nil, errors.New("connection timed out")
		}}
		p := &fetch.Planner{Store: &fetchtest.Store{}, Sources: []fetch.Source{down}}
		p.Fetch(t.Context(), requests(files))
		if first.most != fetch.DefaultPerHost || later.most != 1 {
			t.Errorf("%d requests at once, then %d; want %d and 1", first.most, later.most, fetch.DefaultPerHost)
		}
	})
}

// A busy host gets half as many requests at once.
func TestBusyHostGetsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(60, 100)
		s := good(files)
		answer := s.open
		var before, after flight
		start := time.Now()
		s.open = func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			since := time.Since(start)
			switch {
			case n == 20:
				return nil, &fetch.BusyError{After: time.Minute, Err: errors.New("too many")}
			case since < 50*time.Second:
				before.take(time.Second)
			case since < 62500*time.Millisecond: // the test, and the round after it
				after.take(time.Second)
			}
			return answer(ctx, n, req)
		}
		store := &fetchtest.Store{}
		p := &fetch.Planner{Store: store, PerHost: 12, Sources: []fetch.Source{s}}
		wantAll(t, p.Fetch(t.Context(), requests(files)), store, files)
		if before.most != 12 || after.most > 8 {
			t.Errorf("%d requests at once, then %d; want 12, then some 6", before.most, after.most)
		}
	})
}

// A source that was honest at first and then lies is asked last.
func TestLiarIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(100, 100)
		liar := &script{name: "liar", open: func(_ context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			if n < 3 {
				return bodyOf(files[req.Entry.Path], req), nil
			}
			return bodyOf(make([]byte, 100), req), nil
		}}
		store := &fetchtest.Store{}
		p := &fetch.Planner{Store: store, Parallel: 1, Sources: []fetch.Source{liar, good(files)}}
		wantAll(t, p.Fetch(t.Context(), requests(files)), store, files)
		if n := liar.asked(); n > 7 {
			t.Errorf("the liar was asked %d times", n)
		}
	})
}

// A source that never answers holds up the first file only, and the others for
// a moment.
func TestSilentSource(t *testing.T) {
	for name, open := range map[string]func(context.Context) (*fetch.Body, error){
		"before an answer": func(ctx context.Context) (*fetch.Body, error) { <-ctx.Done(); return nil, ctx.Err() },
		"after an answer": func(ctx context.Context) (*fetch.Body, error) {
			return &fetch.Body{ReadCloser: silent{ctx}, Size: -1}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := manyFiles(500, 100)
				s := &script{name: "silent", open: func(ctx context.Context, _ int, _ fetch.Request) (*fetch.Body, error) { return open(ctx) }}
				store := &fetchtest.Store{}
				start := time.Now()
				r := (&fetch.Planner{Store: store, Sources: []fetch.Source{s, good(files)}}).Fetch(t.Context(), requests(files))
				wantAll(t, r, store, files)
				if took := time.Since(start); took > 2*fetch.DefaultStall {
					t.Errorf("took %s", took)
				}
				if n := s.asked(); n > fetch.DefaultPerHost+2 {
					t.Errorf("the silent source was asked %d times", n)
				}
			})
		})
	}
}

// The time between two requests to a keeper is kept.
func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(10, 100)
		s := good(files)
		store := &fetchtest.Store{}
		limits := fetch.Limits{Parallel: 2, Every: time.Second}
		r := (&fetch.Planner{Store: store, Sources: []fetch.Source{fetch.Limit(s, limits)}}).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		for i := 1; i < len(s.times); i++ {
			if gap := s.times[i].Sub(s.times[i-1]); gap < time.Second {
				t.Errorf("request %d came %s after the one before", i, gap)
			}
		}
	})
}

// Sources on one host share its limits.
func TestHostIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(30, 100)
		var all flight
		shared := func(name, archive string) fetch.Source {
			s := &script{name: name, open: func(_ context.Context, _ int, req fetch.Request) (*fetch.Body, error) {
				all.take(time.Second)
				return bodyOf(files[req.Entry.Path], req), nil
			}}
			return fetch.Limit(only{s, archive}, fetch.Limits{Host: "h", Parallel: 3})
		}
		reqs := requests(files)
		for i := range reqs {
			reqs[i].Entry.Archive.Name = []string{"a", "b"}[i%2]
		}
		store := &fetchtest.Store{}
		r := (&fetch.Planner{Store: store, Sources: []fetch.Source{shared("x", "a"), shared("y", "b")}}).Fetch(t.Context(), reqs)
		wantAll(t, r, store, files)
		if all.most != 3 {
			t.Errorf("%d requests at once, want 3", all.most)
		}
	})
}

type only struct {
	fetch.Source
	archive string
}

func (o only) Serves(e lockfile.Entry) bool { return e.Archive.Name == o.archive }

// Answers that break the contract of a source are failures and no more.
func TestSourceBreaksContract(t *testing.T) {
	data := fetchtest.Data(1, 1000)
	files := map[string][]byte{"a": data}
	endless := io.NopCloser(zeros{})
	for name, c := range map[string]struct {
		body fetch.Body
		err  error
		want string
	}{
		"other offset":        {body: fetch.Body{ReadCloser: endless, Offset: 7, Size: -1}, want: "from byte 7"},
		"negative offset":     {body: fetch.Body{ReadCloser: endless, Offset: -7, Size: -1}, want: "from byte -7"},
		"huge":                {body: fetch.Body{ReadCloser: endless, Size: 1 << 50}, want: "more than"},
		"endless":             {body: fetch.Body{ReadCloser: endless, Size: -1}, want: "more bytes"},
		"more than announced": {body: fetch.Body{ReadCloser: endless, Size: 1000}, want: "more bytes"},
		"gives up by itself":  {err: context.Canceled, want: "canceled"},
		"wraps giving up":     {err: fmt.Errorf("x: %w", context.Canceled), want: "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad := &script{name: "bad", open: func(context.Context, int, fetch.Request) (*fetch.Body, error) {
					if c.err != nil {
						return nil, c.err
					}
					body := c.body
					return &body, nil
				}}
				store := &fetchtest.Store{}
				p := &fetch.Planner{Store: store, Sources: []fetch.Source{bad}, MaxSize: 1 << 20}
				r := p.Fetch(t.Context(), requests(files))
				if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Error(), c.want) || len(r.Troubles) != 1 {
					t.Errorf("failed %v, troubles %v; want %q", r.Failed, r.Troubles, c.want)
				}
				if kept := store.Partial(lockfile.DigestOf(data)); r.Bytes > 1<<20 || len(kept) > 0 {
					t.Errorf("%d bytes were taken and %d kept", r.Bytes, len(kept))
				}
				p.Sources = append(p.Sources, good(files))
				wantAll(t, p.Fetch(t.Context(), requests(files)), store, files)
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What the caller sees: one Start, bytes that sum up, every failure, one Done.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := fetchtest.Data(1, 1000)
		files := map[string][]byte{"a": data}
		bad := &script{name: "bad", open: func(_ context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			return bodyOf(make([]byte, 1000), req), nil
		}}
		none := &script{name: "none", open: func(context.Context, int, fetch.Request) (*fetch.Body, error) {
			return nil, fs.ErrNotExist
		}}
		var log []string
		var sum int64
		p := &fetch.Planner{
			Store:   &fetchtest.Store{},
			Sources: []fetch.Source{none, bad, good(files)},
			Events: &fetch.Events{
				Start:  func(e lockfile.Entry, have, size int64) { log = append(log, fmt.Sprint("start ", have, size)) },
				Bytes:  func(e lockfile.Entry, n int64) { sum += n },
				Failed: func(e lockfile.Entry, s string, err error) { log = append(log, "failed "+s) },
				Done:   func(e lockfile.Entry, s string, err error) { log = append(log, fmt.Sprint("done ", s, err)) },
			},
		}
		p.Fetch(t.Context(), requests(files))
		want := "failed none|start 0 1000|failed bad|done good<nil>"
		if got := strings.Join(log, "|"); got != want {
			t.Errorf("events %s, want %s", got, want)
		}
		if sum != 1000 {
			t.Errorf("Bytes sum up to %d", sum)
		}
	})
}

// A host that is far away is asked for more files at once, unless it or the
// caller has set a limit.
func TestFarHostGetsMore(t *testing.T) {
	files := manyFiles(100, 100)
	for name, c := range map[string]struct {
		wait           time.Duration
		perHost, limit int
		want           int
	}{
		"near":                {time.Millisecond, 0, 0, fetch.DefaultPerHost},
		"far":                 {100 * time.Millisecond, 0, 0, fetch.DefaultParallel},
		"far, with a limit":   {100 * time.Millisecond, 0, fetch.DefaultPerHost, fetch.DefaultPerHost},
		"far, set by callers": {100 * time.Millisecond, 7, 0, 7},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all flight
				s := &script{name: "s", open: func(_ context.Context, _ int, req fetch.Request) (*fetch.Body, error) {
					all.take(c.wait)
					return bodyOf(files[req.Entry.Path], req), nil
				}}
				p := &fetch.Planner{Store: &fetchtest.Store{}, PerHost: c.perHost}
				p.Sources = []fetch.Source{fetch.Limit(s, fetch.Limits{Parallel: c.limit}), good(files)}
				if r := p.Fetch(t.Context(), requests(files)); !r.Complete() {
					t.Fatal(r.Failed)
				}
				if all.most != c.want {
					t.Errorf("%d requests at once, want %d", all.most, c.want)
				}
			})
		})
	}
}
