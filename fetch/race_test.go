package fetch_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
)

// A throttle gives bytes at a rate to all who share it.
type throttle struct {
	perSecond float64
	mu        sync.Mutex
	free      time.Time // when the line is free again
}

// wait takes as long as n bytes take behind those of others.
func (t *throttle) wait(ctx context.Context, n int) error {
	t.mu.Lock()
	now := time.Now()
	if t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(n) / t.perSecond * float64(time.Second)))
	pause := t.free.Sub(now)
	t.mu.Unlock()
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A paced body comes in pieces of at most 8 KiB.
type paced struct {
	ctx  context.Context
	line *throttle
	rest io.Reader
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.rest.Read(b[:min(len(b), 8<<10)])
	if err := p.line.wait(p.ctx, n); err != nil {
		return 0, err
	}
	return n, err
}

func (p *paced) Close() error { return nil }

// line is a source that gives perSecond bytes a second, together or to each
// request, after a first wait.
func line(name string, files map[string][]byte, wait time.Duration, perSecond float64, together bool) *script {
	all := &throttle{perSecond: perSecond}
	return &script{name: name, open: func(ctx context.Context, _ int, req fetch.Request) (*fetch.Body, error) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		t := all
		if !together {
			t = &throttle{perSecond: perSecond}
		}
		body := bodyOf(files[req.Entry.Path], req)
		body.ReadCloser = &paced{ctx, t, body.ReadCloser}
		return body, nil
	}}
}

// fetchedIn returns how long a fetch of all files takes.
func fetchedIn(t *testing.T, files map[string][]byte, sources ...fetch.Source) (time.Duration, *fetch.Report) {
	t.Helper()
	start := time.Now()
	r := (&fetch.Planner{Store: &hashStore{}, Sources: sources}).Fetch(t.Context(), requests(files))
	if !r.Complete() || len(r.Fetched) != len(files) {
		t.Fatalf("%d of %d files fetched, %v, %v", len(r.Fetched), len(files), r.Err, r.Failed)
	}
	return time.Since(start), r
}

// With a slow source before or behind a fast one, the files take little longer
// than with the fast one alone, and little of what arrives is of no use.
func TestSlowAndFast(t *testing.T) {
	for name, size := range map[string]int{"large": 900_000, "small": 90_000} {
		files := manyFiles(45_000_000/size, size)
		for _, together := range []bool{true, false} {
			for _, slowFirst := range []bool{true, false} {
				t.Run(name+map[bool]string{true: "/in all", false: "/each"}[together]+map[bool]string{true: "/first", false: "/second"}[slowFirst], func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						fast := line("fast", files, time.Millisecond, 40e6, true)
						alone, _ := fetchedIn(t, files, fast)
						slow := line("slow", files, time.Millisecond, 1e6, together)
						sources := []fetch.Source{slow, fast}
						if !slowFirst {
							sources = []fetch.Source{fast, slow}
						}
						both, r := fetchedIn(t, files, sources...)
						if both > alone*13/10 {
							t.Errorf("%s with both, %s with the fast one alone", both, alone)
						}
						if r.Bytes > 47_000_000 {
							t.Errorf("%d bytes arrived for 45 MB", r.Bytes)
						}
						for _, trouble := range r.Troubles {
							if trouble.Source != "slow" || trouble.Slow == 0 || trouble.Failed+trouble.Missing+trouble.Lied > 0 {
								t.Errorf("trouble %+v", trouble)
							}
						}
						if slowFirst && len(r.Troubles) != 1 {
							t.Errorf("troubles %v, want one of the slow source", r.Troubles)
						}
					})
				})
			}
		}
	}
}

// A source that trickles is left, and the other goes on from the bytes that
// are there.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := map[string][]byte{"a": fetchtest.Data(1, 3_000_000)}
		trickle := &script{name: "trickle", open: func(ctx context.Context, _ int, req fetch.Request) (*fetch.Body, error) {
			body := bodyOf(files["a"], req)
			rest := &paced{ctx, &throttle{perSecond: 1000}, body.ReadCloser}
			body.ReadCloser = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(body.ReadCloser, 2_000_000), rest), rest}
			return body, nil
		}}
		var offsets []int64
		better := good(files)
		answer := better.open
		better.open = func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			offsets = append(offsets, req.Offset)
			return answer(ctx, n, req)
		}
		took, r := fetchedIn(t, files, trickle, better)
		if took > 3*time.Second || r.Bytes > 3_010_000 || len(offsets) != 1 || offsets[0] < 2_000_000 {
			t.Errorf("took %s for %d bytes, the other was asked at %v", took, r.Bytes, offsets)
		}
		if len(r.Troubles) != 1 || r.Troubles[0].Slow != 1 || !strings.Contains(r.Troubles[0].Last.Error(), "left for good") {
			t.Errorf("troubles %+v", r.Troubles)
		}
	})
}

// With nobody else to ask, a trickle is a failure like silence.
func TestTrickleAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := map[string][]byte{"a": fetchtest.Data(1, 30_000)}
		trickle := &script{name: "trickle", open: func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			body := bodyOf(files["a"], req)
			if n == 0 {
				body.ReadCloser = &paced{ctx, &throttle{perSecond: 10}, iotest.OneByteReader(body.ReadCloser)}
			}
			return body, nil
		}}
		took, r := fetchedIn(t, files, trickle)
		if took > 30*time.Second || r.Bytes != 30_000 || trickle.asked() != 2 {
			t.Errorf("took %s for %d bytes in %d answers", took, r.Bytes, trickle.asked())
		}
		if got := r.Troubles[0].Last.Error(); !strings.Contains(got, "bytes arrived in 20s") {
			t.Errorf("the trouble is %q", got)
		}
	})
}

// What does not answer for long is raced, not waited for until it stalls.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(40, 1000)
		late := line("late", files, 10*time.Second, 1e9, false)
		took, r := fetchedIn(t, files, late, good(files))
		if took > 2*time.Second || late.asked() > fetch.DefaultPerHost {
			t.Errorf("took %s and asked the late source %d times", took, late.asked())
		}
		for _, f := range r.Fetched {
			if f.Source != "good" {
				t.Errorf("%s came from %s", f.Entry.Path, f.Source)
			}
		}
	})
}

// Who is asked when nobody is late, or nobody may be asked: the first alone.
func TestWhoIsNotRaced(t *testing.T) {
	many, one := manyFiles(40, 900_000), manyFiles(1, 30_000_000)
	for name, c := range map[string]struct {
		files         map[string][]byte
		first, second func(files map[string][]byte) fetch.Source
		most          int // requests to the second
	}{
		"nobody is late": {
			one,
			func(files map[string][]byte) fetch.Source { return line("first", files, time.Millisecond, 20e6, false) },
			func(files map[string][]byte) fetch.Source { return good(files) }, 0},
		"the second is a keeper": {
			many,
			func(files map[string][]byte) fetch.Source { return line("first", files, time.Millisecond, 1e6, true) },
			func(files map[string][]byte) fetch.Source {
				return fetch.Limit(good(files), fetch.Limits{Host: "k", Every: time.Second})
			}, 0},
		"the second allows one request": {
			many,
			func(files map[string][]byte) fetch.Source { return line("first", files, time.Millisecond, 1e6, true) },
			func(files map[string][]byte) fetch.Source {
				return fetch.Limit(good(files), fetch.Limits{Host: "k", Parallel: 1})
			}, 0},
		"both are on one host": {
			one,
			func(files map[string][]byte) fetch.Source {
				return fetch.Limit(line("first", files, time.Millisecond, 1e6, true), fetch.Limits{Host: "h"})
			},
			func(files map[string][]byte) fetch.Source { return fetch.Limit(good(files), fetch.Limits{Host: "h"}) }, 0},
		// It is tried now and then, with one request.
		"the second is much the same": {
			many,
			func(files map[string][]byte) fetch.Source { return line("first", files, time.Millisecond, 1e6, false) },
			func(files map[string][]byte) fetch.Source {
				return line("second", files, time.Millisecond, 1.2e6, false)
			}, 2},
		"the second is slower": {
			many,
			func(files map[string][]byte) fetch.Source { return line("first", files, time.Millisecond, 1e6, true) },
			func(files map[string][]byte) fetch.Source { return line("second", files, time.Millisecond, 1e4, true) }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := &counted{Source: c.second(c.files)}
				_, r := fetchedIn(t, c.files, c.first(c.files), limitedLike(second))
				if n := second.asked.Load(); int(n) > c.most {
					t.Errorf("the second was asked %d times, want at most %d", n, c.most)
				}
				for _, f := range r.Fetched {
					if f.Source != "first" {
						t.Errorf("%s came from %s", f.Entry.Path, f.Source)
					}
				}
				if len(r.Troubles) != 0 {
					t.Errorf("troubles %v", r.Troubles)
				}
			})
		})
	}
}

// counted counts requests.
type counted struct {
	fetch.Source
	asked atomic.Int64
}

func (c *counted) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	c.asked.Add(1)
	return c.Source.Open(ctx, req)
}

// limitedLike passes on the limits of what is counted.
func limitedLike(c *counted) fetch.Source {
	if l, ok := c.Source.(fetch.Limiter); ok {
		return fetch.Limit(c, l.Limits())
	}
	return c
}

// The slow source is used again when the fast one fails, and before a keeper.
func TestFastSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyFiles(20, 900_000)
		slow := line("slow", files, time.Millisecond, 1e6, true)
		fast := line("fast", files, time.Millisecond, 20e6, true)
		answer := fast.open
		fast.open = func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			if n >= 8 {
				return nil, fetch.Permanent(errors.New("gone for good"))
			}
			return answer(ctx, n, req)
		}
		keeper := good(files)
		keeper.name = "keeper"
		_, r := fetchedIn(t, files, slow, fast, fetch.Limit(keeper, fetch.Limits{Every: time.Second}))
		from := map[string]int{}
		for _, f := range r.Fetched {
			from[f.Source]++
		}
		if from["fast"] == 0 || from["slow"] == 0 || keeper.asked() > 0 {
			t.Errorf("files came from %v", from)
		}
	})
}

// A rival that has not got the file, or lies, costs nothing but the attempt.
func TestBadRivals(t *testing.T) {
	files := map[string][]byte{"a": fetchtest.Data(1, 2_000_000)}
	for name, open := range map[string]func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error){
		"missing": func(context.Context, int, fetch.Request) (*fetch.Body, error) { return nil, fs.ErrNotExist },
		"fails":   func(context.Context, int, fetch.Request) (*fetch.Body, error) { return nil, errors.New("refused") },
		"silent": func(ctx context.Context, _ int, _ fetch.Request) (*fetch.Body, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"lies": func(_ context.Context, _ int, req fetch.Request) (*fetch.Body, error) {
			return bodyOf(make([]byte, 2_000_000), req), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rival := &script{name: "rival", open: open}
				took, r := fetchedIn(t, files, line("slow", files, time.Millisecond, 1e6, true), rival)
				if took > 5*time.Second || rival.asked() == 0 || r.Fetched[0].Source != "slow" {
					t.Errorf("took %s, asked the rival %d times, fetched %v", took, rival.asked(), r.Fetched)
				}
				if name != "lies" && (len(r.Troubles) > 0 || rival.asked() > 1) {
					t.Errorf("asked %d times, troubles %v", rival.asked(), r.Troubles)
				}
			})
		})
	}
}

// A rival that cannot resume is read up to where it is of use.
func TestRivalWithoutRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := map[string][]byte{"a": fetchtest.Data(1, 2_000_000)}
		rival := &script{name: "rival", open: func(_ context.Context, _ int, req fetch.Request) (*fetch.Body, error) {
			req.Offset = 0
			return bodyOf(files["a"], req), nil
		}}
		took, r := fetchedIn(t, files, line("slow", files, time.Millisecond, 1e6, true), rival)
		if took > time.Second || r.Fetched[0].Source != "rival" {
			t.Errorf("took %s, fetched %v", took, r.Fetched)
		}
	})
}

// pace is a mood that gives the file at so many bytes a second.
func pace(all *throttle, each float64) fetchtest.Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		t := all
		if t == nil {
			t = &throttle{perSecond: each}
		}
		fetchtest.Good(&pacedWriter{w, r.Context(), t}, r, data)
	}
}

type pacedWriter struct {
	http.ResponseWriter
	ctx  context.Context
	line *throttle
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	done := 0
	for len(b) > done {
		n := min(len(b)-done, 8<<10)
		if err := p.line.wait(p.ctx, n); err != nil {
			return done, err
		}
		m, err := p.ResponseWriter.Write(b[done : done+n])
		if done += m; err != nil {
			return done, err
		}
		_ = http.NewResponseController(p.ResponseWriter).Flush()
	}
	return done, nil
}

// Over the wire: the slow server's requests are cancelled and what arrived is
// kept.
func TestSlowServer(t *testing.T) {
	files := manyFiles(20, 500_000)
	for name, mood := range map[string]fetchtest.Mood{
		"in all": pace(&throttle{perSecond: 1e6}, 0),
		"each":   pace(nil, 2e5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow, fast := serve(t, files), serve(t, files)
			slow.Mood(mood)
			store := &fetchtest.Store{}
			p := newPlanner(store, places(t, slow, fast)...)
			p.Stall = time.Minute // on a busy machine a slow server seems silent at times
			r := p.Fetch(t.Context(), requests(files))
			wantAll(t, r, store, files)
			wantTrouble(t, r, slow, func(t fetch.Trouble) int { return t.Slow }, "left for "+fast.URL)
			resumed := 0
			for path := range files {
				for _, ranges := range fast.Ranges(path) {
					if ranges != "" {
						resumed++
					}
				}
			}
			if resumed == 0 {
				t.Error("nothing was resumed at the fast server")
			}
		})
	}
}

// countBytes counts the bytes of bodies that a server sent.
func countBytes(sent *atomic.Int64, then fetchtest.Mood) fetchtest.Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		then(&countingWriter{w, sent}, r, data)
	}
}

type countingWriter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// A source that dies in the middle of every tenth body sends no byte twice,
// whether there is another source or not.
func TestDiesInEveryTenthBody(t *testing.T) {
	files := manyFiles(100, 200_000)
	total := int64(0)
	for _, data := range files {
		total += int64(len(data))
	}
	for name, others := range map[string]int{"alone": 0, "with another": 1} {
		t.Run(name, func(t *testing.T) {
			var sent, bodies atomic.Int64
			flaky := serve(t, files)
			half := fetchtest.Truncate(0.5)
			flaky.Mood(func(w http.ResponseWriter, r *http.Request, data []byte) {
				mood := fetchtest.Mood(fetchtest.Good)
				if bodies.Add(1)%10 == 0 {
					mood = half
				}
				countBytes(&sent, mood)(w, r, data)
			})
			servers := []*fetchtest.Server{flaky}
			for range others {
				other := serve(t, files)
				other.Mood(countBytes(&sent, fetchtest.Good))
				servers = append(servers, other)
			}
			// Sources that share a host do not race, so that the figures do not
			// depend on what else the machine has to do.
			sources := places(t, servers...)
			for i, s := range sources {
				sources[i] = fetch.Limit(s, fetch.Limits{Host: "one"})
			}
			store := &fetchtest.Store{}
			r := newPlanner(store, sources...).Fetch(t.Context(), requests(files))
			wantAll(t, r, store, files)
			if sent.Load() != total || r.Bytes != total {
				t.Errorf("%d bytes were sent and %d arrived for files of %d", sent.Load(), r.Bytes, total)
			}
			if bodies.Load() < 110 {
				t.Errorf("only %d bodies, none died", bodies.Load())
			}
			for _, f := range r.Fetched {
				if f.Bytes != int64(len(store.Get(f.Entry.Digest))) {
					t.Errorf("%d bytes arrived for %s", f.Bytes, f.Entry.Path)
				}
			}
		})
	}
}
