package fetch_test

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// hashStore hashes what it is given and writes it to files, as a store on disk
// does; without a folder it only hashes.
type hashStore struct {
	folder string
	full   atomic.Int64 // bytes committed
}

type hashPartial struct {
	store  *hashStore
	want   lockfile.Digest
	hash   hash.Hash
	offset int64
	file   *os.File
}

func (s *hashStore) Begin(_ context.Context, d lockfile.Digest) (fetch.Partial, error) {
	p := &hashPartial{store: s, want: d, hash: sha256.New()}
	if s.folder != "" {
		var err error
		if p.file, err = os.Create(filepath.Join(s.folder, d.String())); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *hashPartial) Write(b []byte) (int, error) {
	p.hash.Write(b)
	p.offset += int64(len(b))
	if p.file != nil {
		return p.file.Write(b)
	}
	return len(b), nil
}

func (p *hashPartial) Offset() int64 { return p.offset }

func (p *hashPartial) Reset() error {
	p.hash.Reset()
	p.offset = 0
	if p.file != nil {
		_, err := p.file.Seek(0, io.SeekStart)
		return err
	}
	return nil
}

func (p *hashPartial) Commit() error {
	if got := lockfile.Digest(p.hash.Sum(nil)); got != p.want {
		return &lockfile.DigestError{Want: p.want, Got: got, Size: p.offset}
	}
	p.store.full.Add(p.offset)
	return nil
}

func (p *hashPartial) Close() error {
	if p.file != nil {
		return p.file.Close()
	}
	return nil
}

func fetchAll(tb testing.TB, store fetch.Store, reqs []fetch.Request, perHost int, urls ...string) {
	tb.Helper()
	client := web.NewClient(web.Config{})
	p := &fetch.Planner{Store: store, PerHost: perHost}
	for _, u := range urls {
		s, err := web.New(client, web.Place{URL: u})
		if err != nil {
			tb.Fatal(err)
		}
		p.Sources = append(p.Sources, s)
	}
	if r := p.Fetch(tb.Context(), reqs); !r.Complete() {
		tb.Fatalf("%v, %v", r.Err, r.Failed)
	}
}

// BenchmarkFetch gets 49 files of 45 MB in all from a server in the same
// process, and with a tenth of a second before each answer; one after another
// for comparison.
func BenchmarkFetch(b *testing.B) {
	files := map[string][]byte{}
	for i := range 49 {
		files[string(rune('A'+i))] = fetchtest.Data(uint64(i), (i+1)*36_700)
	}
	for _, c := range []struct {
		name    string
		wait    time.Duration
		perHost int
	}{
		{"near", 0, 0},
		{"far", 100 * time.Millisecond, 0},
		{"far/serial", 100 * time.Millisecond, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := fetchtest.NewServer(files)
			defer server.Close()
			server.Mood(fetchtest.Slow(c.wait, fetchtest.Good))
			reqs := requests(files)
			b.SetBytes(45_000_000)
			for b.Loop() {
				store := &hashStore{folder: b.TempDir()}
				fetchAll(b, store, reqs, c.perHost, server.URL)
			}
		})
	}
}

// BenchmarkOverhead gets 5000 files of a few bytes that lie in memory, which
// shows what the planner itself costs.
func BenchmarkOverhead(b *testing.B) {
	files := manyFiles(5000, 10)
	reqs := requests(files)
	for b.Loop() {
		r := (&fetch.Planner{Store: &hashStore{}, Sources: []fetch.Source{memory(files)}}).Fetch(b.Context(), reqs)
		if !r.Complete() {
			b.Fatal(r.Failed)
		}
	}
}

// memory is a source without any wire.
type memory map[string][]byte

func (memory) Name() string               { return "memory" }
func (memory) Serves(lockfile.Entry) bool { return true }
func (m memory) Open(_ context.Context, req fetch.Request) (*fetch.Body, error) {
	data := m[req.Entry.Path]
	return &fetch.Body{ReadCloser: io.NopCloser(strings.NewReader(string(data[req.Offset:]))), Offset: req.Offset, Size: int64(len(data))}, nil
}

// Memory does not grow with the files: 700 MB in 7 files at once.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads and hashes 700 MB")
	}
	const size = 100 << 20
	zeros := make([]byte, 1<<20)
	sum := func(seed byte) lockfile.Digest {
		h := sha256.New()
		h.Write([]byte{seed})
		for n := 1; n < size; n += len(zeros) {
			h.Write(zeros[:min(len(zeros), size-n)])
		}
		return lockfile.Digest(h.Sum(nil))
	}
	server := fetchtest.NewServer(map[string][]byte{})
	defer server.Close()
	server.Mood(func(w http.ResponseWriter, r *http.Request, _ []byte) {
		w.Header().Set("Content-Length", "104857600")
		_, _ = w.Write([]byte{r.URL.Path[1]})
		for n := 1; n < size; n += len(zeros) {
			_, _ = w.Write(zeros[:min(len(zeros), size-n)])
		}
	})
	var reqs []fetch.Request
	for seed := byte('a'); seed < 'h'; seed++ {
		reqs = append(reqs, fetch.Request{Entry: lockfile.Entry{Path: string(rune(seed)), Digest: sum(seed)}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	store := &hashStore{}
	fetchAll(t, store, reqs, 0, server.URL)
	runtime.ReadMemStats(&after)
	if store.full.Load() != 7*size {
		t.Fatalf("%d bytes are in the store", store.full.Load())
	}
	// All that was ever allocated bounds what was in use; the server's share
	// is in it.
	if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
		t.Errorf("%d bytes were allocated to fetch %d", got, 7*size)
	}
}
