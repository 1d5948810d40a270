package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// manyFiles returns n files of about size bytes each.
func manyFiles(n, size int) map[string][]byte {
	files := map[string][]byte{}
	for i := range n {
		files[fmt.Sprintf("pool/%03d.deb", i)] = fetchtest.Data(uint64(i+1), size+i)
	}
	return files
}

// requests are in the order of their paths.
func requests(files map[string][]byte) []fetch.Request {
	reqs := fetchtest.Requests(files, "Debian")
	slices.SortFunc(reqs, func(a, b fetch.Request) int { return a.Entry.Compare(b.Entry) })
	return reqs
}

func serve(t *testing.T, files map[string][]byte) *fetchtest.Server {
	t.Helper()
	s := fetchtest.NewServer(files)
	t.Cleanup(s.Close)
	return s
}

func places(t *testing.T, servers ...*fetchtest.Server) []fetch.Source {
	t.Helper()
	client := web.NewClient(web.Config{})
	var out []fetch.Source
	for _, server := range servers {
		s, err := web.New(client, web.Place{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// newPlanner is one that is in a hurry.
func newPlanner(store fetch.Store, sources ...fetch.Source) *fetch.Planner {
	return &fetch.Planner{Sources: sources, Store: store, Backoff: time.Millisecond, Stall: 300 * time.Millisecond}
}

// wantAll checks that every file arrived.
func wantAll(t *testing.T, r *fetch.Report, store *fetchtest.Store, files map[string][]byte) {
	t.Helper()
	if !r.Complete() {
		t.Errorf("incomplete: %v", r.Err)
		for _, f := range r.Failed {
			t.Error(f.Error())
		}
	}
	for path, data := range files {
		if store.Get(lockfile.DigestOf(data)) == nil {
			t.Errorf("%s is not in the store", path)
		}
	}
	if n := store.Held(); n != 0 {
		t.Errorf("%d partials were not closed", n)
	}
}

// moods are what a server can do wrong, and as what that is reported.
var moods = map[string]struct {
	mood   fetchtest.Mood
	report func(fetch.Trouble) int
	want   string // in the last error
}{
	"lies":            {fetchtest.Lie, lied, "SHA-256"},
	"serves a page":   {fetchtest.Page, lied, "SHA-256"},
	"truncates":       {fetchtest.Truncate(0.5), failed, "EOF"},
	"sends nothing":   {fetchtest.Truncate(0), failed, "EOF"},
	"stalls":          {fetchtest.Stall(0.5), left, ""},
	"resets":          {fetchtest.Reset, failed, ""},
	"404":             {fetchtest.Status(404), missing, "404"},
	"410":             {fetchtest.Status(410), missing, "410"},
	"403":             {fetchtest.Status(403), failed, "403"},
	"429 for an hour": {fetchtest.Busy(429, 3600), busy, "1h0m0s"},
	"503 for a while": {fetchtest.Busy(503, 3600), busy, "1h0m0s"},
	"503":             {fetchtest.Status(503), failed, "503"},
	"redirects":       {fetchtest.Loop, failed, "redirected"},
	"too short":       {fetchtest.WrongLength(-10), lied, "SHA-256"},
}

func lied(t fetch.Trouble) int    { return t.Lied }
func failed(t fetch.Trouble) int  { return t.Failed }
func left(t fetch.Trouble) int    { return t.Failed + t.Slow }
func missing(t fetch.Trouble) int { return t.Missing }
func busy(t fetch.Trouble) int    { return t.Busy }

// With one good source left every file arrives and the bad ones are named.
func TestBadSourceBeforeGoodOne(t *testing.T) {
	for name, m := range moods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := manyFiles(20, 5000)
			bad, good := serve(t, files), serve(t, files)
			bad.Mood(m.mood)
			store := &fetchtest.Store{}
			r := newPlanner(store, places(t, bad, good)...).Fetch(t.Context(), requests(files))
			wantAll(t, r, store, files)
			wantTrouble(t, r, bad, m.report, m.want)
			if len(r.Troubles) != 1 {
				t.Errorf("troubles %v, want only those of the bad source", r.Troubles)
			}
			for _, f := range r.Fetched {
				if f.Source != good.URL && name != "truncates" {
					t.Errorf("%s came from %s", f.Entry.Path, f.Source)
				}
			}
		})
	}
}

func wantTrouble(t *testing.T, r *fetch.Report, s *fetchtest.Server, count func(fetch.Trouble) int, text string) {
	t.Helper()
	for _, trouble := range r.Troubles {
		if trouble.Source == s.URL {
			if count(trouble) == 0 || !strings.Contains(trouble.Last.Error(), text) {
				t.Errorf("trouble %+v, want %q", trouble, text)
			}
			return
		}
	}
	t.Errorf("the report does not name %s: %v", s.URL, r.Troubles)
}

// All moods at once, and one good source at the end.
func TestAllMoodsThenGood(t *testing.T) {
	files := manyFiles(30, 5000)
	var servers []*fetchtest.Server
	for _, m := range moods {
		s := serve(t, files)
		s.Mood(m.mood)
		servers = append(servers, s)
	}
	servers = append(servers, serve(t, files))
	store := &fetchtest.Store{}
	r := newPlanner(store, places(t, servers...)...).Fetch(t.Context(), requests(files))
	wantAll(t, r, store, files)
	if len(r.Troubles) == 0 {
		t.Error("no troubles are reported")
	}
}

// With no good source each failure of each source is told, and files that are
// not concerned arrive.
func TestNoGoodSourceForSome(t *testing.T) {
	for name, m := range moods {
		switch name {
		case "truncates":
			continue // each answer brings some bytes, until the file is whole
		case "429 for an hour", "503 for a while":
			continue // speaks for all files of the server, not for one
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := manyFiles(20, 5000)
			lost := []string{"pool/003.deb", "pool/011.deb"}
			a, b := serve(t, files), serve(t, files)
			for _, path := range lost {
				a.Next(path, slices.Repeat([]fetchtest.Mood{m.mood}, 50)...)
				b.Next(path, slices.Repeat([]fetchtest.Mood{m.mood}, 50)...)
			}
			store := &fetchtest.Store{}
			r := newPlanner(store, places(t, a, b)...).Fetch(t.Context(), requests(files))
			if r.Err != nil || len(r.Fetched) != 18 || len(r.Failed) != 2 {
				t.Fatalf("%d fetched, %d failed, error %v; want 18, 2, nil", len(r.Fetched), len(r.Failed), r.Err)
			}
			for i, f := range r.Failed {
				if f.Entry.Path != lost[i] {
					t.Errorf("%s failed, want %s", f.Entry.Path, lost[i])
				}
				for _, s := range []*fetchtest.Server{a, b} {
					if !strings.Contains(f.Error(), s.URL) {
						t.Errorf("%q does not tell of %s", f.Error(), s.URL)
					}
				}
			}
		})
	}
}

// A 404 is not paid a hundred times.
func TestRouting(t *testing.T) {
	files := manyFiles(200, 100)
	empty, good := serve(t, nil), serve(t, files)
	store := &fetchtest.Store{}
	r := (&fetch.Planner{Store: store, Sources: places(t, empty, good)}).Fetch(t.Context(), requests(files))
	wantAll(t, r, store, files)
	if n := empty.Total(); n > 8 {
		t.Errorf("the source without the archive was asked %d times for 200 files", n)
	}
	if n := good.Total(); n != 200 {
		t.Errorf("the good source was asked %d times for 200 files", n)
	}
}

// A good mirror that lacks some files, even the first of all, is asked for the
// others, and the source behind it only for those.
func TestRoutingKeepsMirrorThatLacksSome(t *testing.T) {
	files := manyFiles(100, 100)
	most := manyFiles(100, 100)
	lacking := []string{"pool/000.deb", "pool/001.deb", "pool/050.deb", "pool/099.deb"}
	for _, path := range lacking {
		delete(most, path)
	}
	mirror, keeper := serve(t, most), serve(t, files)
	store := &fetchtest.Store{}
	r := (&fetch.Planner{Store: store, Sources: places(t, mirror, keeper)}).Fetch(t.Context(), requests(files))
	wantAll(t, r, store, files)
	if n := keeper.Total(); n > len(lacking)+3 {
		t.Errorf("the keeper was asked %d times, want little more than %d", n, len(lacking))
	}
	for path := range files {
		if n := mirror.Count(path); n > 1 {
			t.Errorf("the mirror was asked %d times for %s", n, path)
		}
	}
}

// Routes are learnt for each archive on its own.
func TestRoutingByArchive(t *testing.T) {
	one, two := manyFiles(40, 100), map[string][]byte{}
	for i := range 40 {
		two[fmt.Sprintf("pool/other%d", i)] = fetchtest.Data(uint64(1000+i), 100)
	}
	a, b := serve(t, one), serve(t, two)
	reqs := append(requests(one), fetchtest.Requests(two, "Other")...)
	store := &fetchtest.Store{}
	r := (&fetch.Planner{Store: store, Sources: places(t, a, b)}).Fetch(t.Context(), reqs)
	wantAll(t, r, store, one)
	wantAll(t, r, store, two)
	if n := a.Total(); n > 46 {
		t.Errorf("the first was asked %d times for its 40 files", n)
	}
	if n := b.Total(); n != 40 {
		t.Errorf("the second was asked %d times for its 40 files", n)
	}
}

// A busy source is given its time and asked more gently.
func TestBusySourceAlone(t *testing.T) {
	files := manyFiles(30, 100)
	server := serve(t, files)
	for path := range files {
		if path > "pool/015" {
			server.Next(path, fetchtest.Busy(429, 0))
		}
	}
	store := &fetchtest.Store{}
	r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
	wantAll(t, r, store, files)
	wantTrouble(t, r, server, busy, "429")
}

func TestFlakySourceAlone(t *testing.T) {
	files := manyFiles(60, 2000)
	server := serve(t, files)
	i := 0
	for path := range files {
		flaws := []fetchtest.Mood{fetchtest.Reset, fetchtest.Status(500), fetchtest.Truncate(0.3), fetchtest.Good}
		server.Next(path, flaws[i%len(flaws)])
		i++
	}
	store := &fetchtest.Store{}
	r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
	wantAll(t, r, store, files)
}

func TestHostLimits(t *testing.T) {
	files := manyFiles(40, 100)
	server := serve(t, files)
	server.Mood(fetchtest.Slow(5*time.Millisecond, fetchtest.Good))
	for _, limit := range []int{1, 3} {
		source := fetch.Limit(places(t, server)[0], fetch.Limits{Parallel: limit})
		store := &fetchtest.Store{}
		r := newPlanner(store, source).Fetch(t.Context(), requests(files))
		wantAll(t, r, store, files)
		if n := server.Most(); n > limit {
			t.Errorf("%d requests at once, the limit is %d", n, limit)
		}
	}
}

// Nothing is asked of a source that does not serve the archive.
func TestServes(t *testing.T) {
	files := manyFiles(1, 10)
	store := &fetchtest.Store{}
	r := newPlanner(store).Fetch(t.Context(), requests(files))
	if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Error(), `archive "Debian"`) {
		t.Errorf("failed %v", r.Failed)
	}
}

func TestPresentAndTwice(t *testing.T) {
	files := manyFiles(3, 10)
	reqs := requests(files)
	twin := reqs[1]
	twin.Entry.Path = "pool/twin.deb"
	server := serve(t, files)
	store := &fetchtest.Store{}
	store.Put(files["pool/000.deb"])
	var mu sync.Mutex
	done := map[string]string{}
	p := newPlanner(store, places(t, server)...)
	p.Events = &fetch.Events{Done: func(e lockfile.Entry, source string, err error) {
		mu.Lock()
		defer mu.Unlock()
		done[e.Path] += source + fmt.Sprint(err)
	}}
	r := p.Fetch(t.Context(), append(reqs, twin))
	wantAll(t, r, store, files)
	if r.Present != 2 || len(r.Fetched) != 2 {
		t.Errorf("%d present, %d fetched; want 2 and 2", r.Present, len(r.Fetched))
	}
	if got := done["pool/000.deb"]; got != "<nil>" {
		t.Errorf("Done for what was there: %q", got)
	}
	for _, path := range []string{"pool/001.deb", "pool/twin.deb"} {
		if got := done[path]; got != server.URL+"<nil>" {
			t.Errorf("Done for %s: %q", path, got)
		}
	}
}

// A full disk ends the run, and no source is blamed.
func TestStoreFails(t *testing.T) {
	files := manyFiles(20, 5000)
	full := errors.New("no space left on device")
	store := &fetchtest.Store{WriteError: func(d lockfile.Digest, size int64) error {
		if d == lockfile.DigestOf(files["pool/005.deb"]) {
			return full
		}
		return nil
	}}
	p := newPlanner(store, places(t, serve(t, files))...)
	p.Events = &fetch.Events{Done: func(e lockfile.Entry, _ string, err error) {
		if err != nil && !errors.Is(err, full) {
			t.Errorf("Done for %s: %v, want %v", e.Path, err, full)
		}
	}}
	r := p.Fetch(t.Context(), requests(files))
	if !errors.Is(r.Err, full) || r.Complete() {
		t.Errorf("Err = %v, want %v", r.Err, full)
	}
	if len(r.Troubles)+len(r.Failed) != 0 || len(r.Left) == 0 {
		t.Errorf("troubles %v, failed %v, left %v", r.Troubles, r.Failed, r.Left)
	}
	if n := len(r.Fetched) + len(r.Left); n != 20 {
		t.Errorf("%d files are accounted for, want 20", n)
	}
}

// A run that is called off ends at once; the next one goes on.
func TestCancel(t *testing.T) {
	files := manyFiles(20, 100_000)
	server := serve(t, files)
	server.Mood(fetchtest.Stall(0.5))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	store := &fetchtest.Store{}
	p := newPlanner(store, places(t, server)...)
	p.Stall = time.Hour
	var mu sync.Mutex
	var got int64
	p.Events = &fetch.Events{Bytes: func(_ lockfile.Entry, n int64) {
		mu.Lock()
		defer mu.Unlock()
		if got += n; got == 10*50_000 {
			cancel(why)
		}
	}}
	for i := range 20 { // the same length for all
		path := fmt.Sprintf("pool/%03d.deb", i)
		files[path] = files[path][:100_000]
	}
	reqs := requests(files)
	r := p.Fetch(ctx, reqs)
	if !errors.Is(r.Err, why) || len(r.Left) != 20 || len(r.Failed)+len(r.Troubles) != 0 {
		t.Fatalf("Err %v, %d left, failed %v, troubles %v", r.Err, len(r.Left), r.Failed, r.Troubles)
	}
	server.Mood(fetchtest.Good)
	r = newPlanner(store, places(t, server)...).Fetch(t.Context(), reqs)
	wantAll(t, r, store, files)
	if want := int64(20*100_000 - 10*50_000); r.Bytes != want {
		t.Errorf("the second run got %d bytes, want %d", r.Bytes, want)
	}
}

// Two runs on one store fetch each file once.
func TestTwoRunsShareStore(t *testing.T) {
	files := manyFiles(50, 5000)
	server := serve(t, files)
	store := &fetchtest.Store{}
	var both sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	for range 2 {
		both.Go(func() {
			r := newPlanner(store, places(t, server)...).Fetch(t.Context(), requests(files))
			mu.Lock()
			defer mu.Unlock()
			sum += len(r.Fetched)
			if r.Present+len(r.Fetched) != 50 {
				t.Errorf("%d present and %d fetched", r.Present, len(r.Fetched))
			}
		})
	}
	both.Wait()
	if sum != 50 || server.Total() != 50 {
		t.Errorf("%d files fetched with %d requests, want 50", sum, server.Total())
	}
}

func TestFailureError(t *testing.T) {
	f := fetch.Failure{Entry: lockfile.Entry{Path: "a.deb"}, Attempts: []fetch.Attempt{
		{Source: "x", Err: errors.New("first")},
		{Source: "y", Err: fs.ErrNotExist},
		{Source: "x", Err: errors.New("second")},
	}}
	if got, want := f.Error(), "a.deb: y: file does not exist; x: second"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(&f, fs.ErrNotExist) {
		t.Error("the failure does not wrap the errors of its attempts")
	}
}
