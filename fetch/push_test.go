package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// fakeSink takes files into memory and fails as told.
type fakeSink struct {
	mu        sync.Mutex
	files     map[lockfile.Digest][]byte
	puts      map[string]int
	fail      func(path string, try int) error // may be nil
	publish   func(try int) error              // may be nil
	published int
	now, most int
}

func newSink() *fakeSink {
	return &fakeSink{files: map[lockfile.Digest][]byte{}, puts: map[string]int{}}
}

func (s *fakeSink) Name() string { return "fake" }

func (s *fakeSink) Put(ctx context.Context, f fetch.File) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	s.puts[f.Entry.Path]++
	try, present := s.puts[f.Entry.Path], s.files[f.Entry.Digest] != nil
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	if present {
		return false, nil
	}
	r, err := f.Open(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err == nil && s.fail != nil {
		err = s.fail(f.Entry.Path, try)
	}
	if errors.Is(err, errSilent) {
		<-ctx.Done()
		return false, fmt.Errorf("put: %w", ctx.Err())
	}
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[f.Entry.Digest] = data
	return true, nil
}

func (s *fakeSink) Publish(ctx context.Context, sets []fetch.Set) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published++
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.publish != nil {
		return s.publish(s.published)
	}
	return nil
}

var errSilent = errors.New("silent")

// sets makes one set of files of 1000 bytes each.
func sets(paths ...string) []fetch.Set {
	lock := &lockfile.Lock{}
	data := map[string][]byte{}
	for i, p := range paths {
		data[p] = fetchtest.Data(uint64(i), 1000)
		lock.Entries = append(lock.Entries, lockfile.Entry{Path: p, Digest: lockfile.DigestOf(data[p])})
	}
	return []fetch.Set{fetchtest.Set(lock, data)}
}

func TestPush(t *testing.T) {
	busy := func(after time.Duration) error { return &fetch.BusyError{After: after, Err: errors.New("busy")} }
	for name, c := range map[string]struct {
		fail    func(path string, try int) error
		publish func(try int) error
		failed  []string
		tries   map[string]int
		waits   time.Duration // at least
		err     string
	}{
		"all well": {},
		"a failure that passes": {
			fail: func(path string, try int) error {
				if path == "b" && try < 3 {
					return errors.New("reset")
				}
				return nil
			},
			tries: map[string]int{"a": 1, "b": 3},
			waits: 750 * time.Millisecond,
		},
		"one that does not pass": {
			fail: func(path string, _ int) error {
				if path == "b" {
					return errors.New("reset")
				}
				return nil
			},
			failed: []string{"b"},
			tries:  map[string]int{"b": 3},
			err:    "1 of 3 files failed",
		},
		"for good": {
			fail: func(path string, _ int) error {
				if path != "b" {
					return fetch.Permanent(errors.New("refused"))
				}
				return nil
			},
			failed: []string{"a", "c"},
			tries:  map[string]int{"a": 1, "b": 1, "c": 1},
			err:    "2 of 3 files failed",
		},
		"busy": {
			fail: func(path string, try int) error {
				if path == "a" && try < 5 {
					return busy(20 * time.Second)
				}
				return nil
			},
			tries: map[string]int{"a": 5},
			waits: 80 * time.Second,
		},
		"busy for too long": {
			fail: func(path string, _ int) error {
				if path == "a" {
					return busy(time.Hour)
				}
				return nil
			},
			failed: []string{"a"},
			tries:  map[string]int{"a": 1},
			err:    "1 of 3 files failed",
		},
		"silence": {
			fail: func(path string, try int) error {
				if path == "a" && try == 1 {
					return errSilent
				}
				return nil
			},
			tries: map[string]int{"a": 2},
			waits: fetch.DefaultPushStall,
		},
		"publishing fails once": {publish: func(try int) error {
			if try == 1 {
				return errors.New("reset")
			}
			return nil
		}},
		"publishing is refused": {
			publish: func(int) error { return fetch.Permanent(errors.New("refused")) },
			err:     "publish the lock in fake: refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newSink()
				sink.fail, sink.publish = c.fail, c.publish
				began := time.Now()
				r, err := fetch.Push(t.Context(), sink, sets("a", "b", "c"), fetch.Pushing{})
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want one with %q", err, c.err)
				}
				var failed []string
				for _, f := range r.Failed {
					failed = append(failed, f.Entry.Path)
				}
				if !slices.Equal(failed, c.failed) || r.Sent != 3-len(failed) || r.Bytes != int64(r.Sent)*1000 || len(r.Left) > 0 {
					t.Errorf("report %+v, want %v to have failed", r, c.failed)
				}
				if r.Published != (err == nil) || len(failed) > 0 && sink.published > 0 {
					t.Errorf("published %t, asked to %d times", r.Published, sink.published)
				}
				for path, n := range c.tries {
					if sink.puts[path] != n {
						t.Errorf("%s was put %d times, want %d", path, sink.puts[path], n)
					}
				}
				if took := time.Since(began); took < c.waits {
					t.Errorf("it took %s, want at least %s", took, c.waits)
				}
			})
		})
	}
}

// What is there already is not sent, and of files with the same bytes one is.
func TestPushPresent(t *testing.T) {
	sink := newSink()
	all := sets("a", "b", "c")
	all = append(all, all[0])
	for i, want := range []fetch.PushReport{{Sent: 3, Bytes: 3000, Published: true}, {Present: 3, Published: true}} {
		r, err := fetch.Push(t.Context(), sink, all, fetch.Pushing{})
		if err != nil || r.Sent != want.Sent || r.Present != want.Present || r.Bytes != want.Bytes {
			t.Errorf("push %d: %+v, error %v, want %+v", i+1, r, err, want)
		}
	}
}

// A sink that took a file and whose answer was lost has it at the next attempt.
// The bytes were sent all the same.
func TestPushAnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newSink()
		set := sets("a", "b", "c")
		sink.fail = func(path string, _ int) error {
			for _, f := range set[0].Files {
				if f.Entry.Path == path {
					sink.mu.Lock()
					sink.files[f.Entry.Digest] = []byte("taken")
					sink.mu.Unlock()
				}
			}
			return errors.New("connection reset")
		}
		r, err := fetch.Push(t.Context(), sink, set, fetch.Pushing{})
		if err != nil || r.Sent != 3 || r.Present != 0 {
			t.Errorf("report %+v, error %v", r, err)
		}
	})
}

func TestPushParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newSink()
		sink.fail = func(string, int) error { time.Sleep(time.Second); return nil }
		if _, err := fetch.Push(t.Context(), sink, sets(strings.Split("abcdefghij", "")...), fetch.Pushing{Parallel: 3}); err != nil {
			t.Fatal(err)
		}
		if sink.most != 3 {
			t.Errorf("%d files were in flight, want 3", sink.most)
		}
	})
}

// Called off, a push names what is left and publishes nothing.
func TestPushCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newSink()
		ctx, cancel := context.WithCancelCause(t.Context())
		sink.fail = func(path string, _ int) error {
			if path == "b" {
				cancel(errors.New("enough"))
				return ctx.Err()
			}
			return nil
		}
		r, err := fetch.Push(ctx, sink, sets("a", "b", "c"), fetch.Pushing{Parallel: 1})
		if err == nil || !strings.Contains(err.Error(), "enough") || sink.published > 0 || r.Published {
			t.Errorf("error %v, published %d", err, sink.published)
		}
		if r.Sent != 1 || len(r.Left) != 2 || len(r.Failed) != 0 {
			t.Errorf("report %+v", r)
		}
	})
}

// A sink that is gone is given up before all files were tried; one that fails
// for many files but not all in a row is not.
func TestPushGivesUp(t *testing.T) {
	var paths []string
	for i := range 100 {
		paths = append(paths, fmt.Sprintf("f%02d", i))
	}
	sink := newSink()
	sink.fail = func(string, int) error { return fetch.Permanent(errors.New("gone")) }
	r, err := fetch.Push(t.Context(), sink, sets(paths...), fetch.Pushing{})
	if err == nil || !strings.Contains(err.Error(), "in a row: gone") || len(r.Failed) < 32 || len(r.Left) < 50 || len(r.Failed)+len(r.Left) != 100 {
		t.Errorf("error %v, %d failed, %d left", err, len(r.Failed), len(r.Left))
	}
	sink.fail = func(path string, _ int) error {
		if strings.HasSuffix(path, "9") {
			return nil
		}
		return fetch.Permanent(errors.New("refused"))
	}
	r, err = fetch.Push(t.Context(), sink, sets(paths...), fetch.Pushing{Parallel: 1})
	if err == nil || len(r.Failed) != 90 || r.Sent != 10 || len(r.Left) != 0 {
		t.Errorf("error %v, %d failed, %d sent, %d left", err, len(r.Failed), r.Sent, len(r.Left))
	}
}

// The bytes that are told add up to those of the files, also after failures,
// and each file is told to be done once.
func TestPushEvents(t *testing.T) {
	var mu sync.Mutex
	var total int64
	done, failed := map[string]error{}, 0
	events := &fetch.PushEvents{
		Bytes:  func(_ lockfile.Entry, n int64) { mu.Lock(); total += n; mu.Unlock() },
		Failed: func(lockfile.Entry, error) { mu.Lock(); failed++; mu.Unlock() },
		Done: func(e lockfile.Entry, sent bool, err error) {
			mu.Lock()
			defer mu.Unlock()
			if _, twice := done[e.Path]; twice || sent != (err == nil) {
				t.Errorf("%s: done with sent %t, error %v, twice %t", e.Path, sent, err, twice)
			}
			done[e.Path] = err
		},
	}
	sink := newSink()
	sink.fail = func(path string, try int) error {
		if path == "c" || path == "b" && try == 1 {
			return errors.New("reset")
		}
		return nil
	}
	_, err := fetch.Push(t.Context(), sink, sets("a", "b", "c"), fetch.Pushing{Attempts: 2, Backoff: time.Millisecond, Events: events})
	if err == nil || total != 2000 || failed != 3 || len(done) != 3 || done["c"] == nil {
		t.Errorf("error %v, %d bytes, %d failures, done %v", err, total, failed, done)
	}
}

// A file that cannot be opened is not the sink's failure: it is not repeated.
func TestPushOpenFails(t *testing.T) {
	all := sets("a", "b")
	all[0].Files[0].Open = func(context.Context) (io.ReadSeekCloser, error) { return nil, fs.ErrPermission }
	sink := newSink()
	r, err := fetch.Push(t.Context(), sink, all, fetch.Pushing{})
	if err == nil || len(r.Failed) != 1 || !errors.Is(r.Failed[0].Err, fs.ErrPermission) || sink.puts["a"] != 1 || r.Sent != 1 {
		t.Errorf("error %v, report %+v, puts %v", err, r, sink.puts)
	}
}

// The suite itself is held to a sink that keeps the contract.
func TestSinkSuite(t *testing.T) {
	fetchtest.RunSink(t, func(t *testing.T) fetchtest.SinkCase {
		sink := newSink()
		return fetchtest.SinkCase{Sink: sink, Source: digests{sink}}
	})
}

// digests is what a fakeSink has, as a source.
type digests struct{ sink *fakeSink }

func (digests) Name() string               { return "fake" }
func (digests) Serves(lockfile.Entry) bool { return true }
func (d digests) Open(_ context.Context, req fetch.Request) (*fetch.Body, error) {
	d.sink.mu.Lock()
	data, ok := d.sink.files[req.Entry.Digest]
	d.sink.mu.Unlock()
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &fetch.Body{ReadCloser: io.NopCloser(bytes.NewReader(data[req.Offset:])), Offset: req.Offset, Size: int64(len(data))}, nil
}
