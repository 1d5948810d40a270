package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// Bytes that arrived are not fetched again, from the same source or another.
func TestResume(t *testing.T) {
	data := fetchtest.Data(1, 400_000)
	files := map[string][]byte{"a": data}
	for name, moods := range map[string][]fetchtest.Mood{
		"one drop":  {fetchtest.Truncate(0.5)},
		"six drops": slices.Repeat([]fetchtest.Mood{fetchtest.Truncate(0.5)}, 6),
		"too long":  {fetchtest.WrongLength(10)},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, files)
			server.Next("a", moods...)
			store := &fetchtest.Store{}
			r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
			wantAll(t, r, store, files)
			if r.Bytes != int64(len(data)) {
				t.Errorf("%d bytes arrived for a file of %d", r.Bytes, len(data))
			}
			if n := server.Count("a"); n != len(moods)+1 {
				t.Errorf("%d requests, want %d; ranges %q", n, len(moods)+1, server.Ranges("a"))
			}
		})
	}
	t.Run("elsewhere", func(t *testing.T) {
		a, b := serve(t, files), serve(t, files)
		a.Mood(fetchtest.Reset)
		a.Next("a", fetchtest.Stall(0.5))
		store := &fetchtest.Store{}
		r := newPlanner(store, places(t, a, b)...).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if r.Bytes != int64(len(data)) || b.Ranges("a")[0] != "bytes=200000-" {
			t.Errorf("%d bytes for a file of %d, the second source was asked for %q", r.Bytes, len(data), b.Ranges("a"))
		}
	})
	t.Run("an earlier run", func(t *testing.T) {
		server := serve(t, files)
		store := &fetchtest.Store{}
		store.PutPartial(lockfile.DigestOf(data), data[:300_000])
		r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if r.Bytes != 100_000 {
			t.Errorf("%d bytes arrived, want the last 100000", r.Bytes)
		}
	})
	t.Run("complete but not committed", func(t *testing.T) {
		server := serve(t, files)
		store := &fetchtest.Store{}
		store.PutPartial(lockfile.DigestOf(data), data)
		r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if r.Bytes != 0 {
			t.Errorf("%d bytes arrived, want none", r.Bytes)
		}
	})
}

// Wrong bytes at the head of a file do not stop those who go on from them.
func TestMixedBytes(t *testing.T) {
	data := fetchtest.Data(1, 90_000)
	files := map[string][]byte{"a": data}
	halfLie := func(part float64) fetchtest.Mood {
		cut := fetchtest.Truncate(part)
		return func(w http.ResponseWriter, r *http.Request, data []byte) {
			wrong := slices.Clone(data)
			wrong[0] ^= 1
			cut(w, r, wrong)
		}
	}
	t.Run("left by an earlier run", func(t *testing.T) {
		server := serve(t, files)
		store := &fetchtest.Store{}
		store.PutPartial(lockfile.DigestOf(data), make([]byte, 1000))
		r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if len(r.Troubles) != 0 {
			t.Errorf("an honest source is blamed: %v", r.Troubles)
		}
	})
	t.Run("more than the file has", func(t *testing.T) {
		server := serve(t, files)
		store := &fetchtest.Store{}
		store.PutPartial(lockfile.DigestOf(data), make([]byte, 100_000))
		r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
	})
	t.Run("from a liar that breaks off", func(t *testing.T) {
		liar, good := serve(t, files), serve(t, files)
		liar.Mood(fetchtest.Reset)
		liar.Next("a", halfLie(0.5), fetchtest.Reset, fetchtest.Reset, fetchtest.Reset, halfLie(0.4))
		store := &fetchtest.Store{}
		r := newPlanner(store, places(t, liar, good)...).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		for _, trouble := range r.Troubles {
			if trouble.Source == good.URL {
				t.Errorf("the honest source is blamed: %+v", trouble)
			}
		}
	})
	t.Run("of a file that changes and has no validator", func(t *testing.T) {
		server := serve(t, files)
		server.Next("a", halfLie(0.5))
		store := &fetchtest.Store{}
		r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
	})
}

// A server that does not resume is read from the start.
func TestNoRange(t *testing.T) {
	files := map[string][]byte{"a": fetchtest.Data(1, 100_000)}
	server := serve(t, files)
	server.Mood(fetchtest.NoRange)
	server.Next("a", fetchtest.Truncate(0.5))
	store := &fetchtest.Store{}
	var got int64
	p := newPlanner(store, places(t, server)...)
	p.Events = &fetch.Events{Bytes: func(_ lockfile.Entry, n int64) { got += n }}
	r := p.Fetch(t.Context(), requests(files))
	wantAll(t, r, store, files)
	if got != 100_000 {
		t.Errorf("Bytes events sum up to %d, want 100000", got)
	}
	if r.Bytes != 150_000 || len(r.Fetched) != 1 {
		t.Errorf("%d bytes arrived, want half the file and then the whole", r.Bytes)
	}
}

// Once a file is asked for whole from each source, nobody goes on from the
// bytes of another.
func TestAloneMeansAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := map[string][]byte{"a": fetchtest.Data(1, 1000)}
		liar := &script{name: "liar", open: func(_ context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			if n == 1 {
				return nil, errors.New("not now")
			}
			if n > 2 {
				return nil, fetch.Permanent(errors.New("never again"))
			}
			wrong := io.MultiReader(bytes.NewReader(make([]byte, 300)), iotest.ErrReader(errors.New("broken off")))
			return &fetch.Body{ReadCloser: io.NopCloser(wrong), Size: 1000}, nil
		}}
		honest := good(files)
		answer := honest.open
		honest.open = func(ctx context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			time.Sleep(2 * time.Second) // until the liar is asked again
			return answer(ctx, n, req)
		}
		store := &fetchtest.Store{}
		r := (&fetch.Planner{Store: store, Sources: []fetch.Source{liar, honest}}).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if liar.asked() != 4 || len(r.Troubles) != 1 || r.Troubles[0].Source != "liar" {
			t.Errorf("the liar was asked %d times; troubles %v", liar.asked(), r.Troubles)
		}
	})
}

// A body that ends early without an error is taken up like one with an error.
func TestShortBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := map[string][]byte{"a": fetchtest.Data(1, 1000)}
		var offsets []int64
		s := &script{name: "short", open: func(_ context.Context, n int, req fetch.Request) (*fetch.Body, error) {
			offsets = append(offsets, req.Offset)
			body := bodyOf(files["a"], req)
			if n == 0 {
				body.ReadCloser = io.NopCloser(bytes.NewReader(files["a"][:300]))
			}
			return body, nil
		}}
		store := &fetchtest.Store{}
		r := (&fetch.Planner{Store: store, Sources: []fetch.Source{s}}).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if !slices.Equal(offsets, []int64{0, 300}) || r.Troubles[0].Lied != 0 {
			t.Errorf("asked at %v, troubles %v", offsets, r.Troubles)
		}
	})
}
